# The modern detector, ShuffleNetV2 1.0x, for a data set of your own, of hundreds of images and more:
#   lighthead train finetune/lighthead_modern --data-root DIR [--auto]
# It starts from the detector of 80 classes in the package: backbone, pyramid, RPN and R-CNN; scores of
# classes with other names start anew. --init FILE starts from other weights.
_base_ = '../modern/lighthead_modern.py'
load_from = 'lighthead-coco'
# By the number of training images (lighthead/engine/optimizer_steps.py).
train_cfg = dict(_delete_=True, type='OptimizerStepLoop', max_steps='auto', val_steps='auto')
# The cosine ends with the last step.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=0, eta_min_ratio=0.02),
]
custom_hooks = [
    dict(type='StopOnNonFiniteLoss'),
    dict(type='OptimizerStepEMAHook', momentum=0.002),
    dict(type='ResumableEarlyStoppingHook', monitor='coco/bbox_mAP', patience=8, min_delta=0.001),
]
