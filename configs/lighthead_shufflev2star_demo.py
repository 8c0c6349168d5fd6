# The demo (make demo): ShuffleNetV2*, width 0.5x, from scratch on the 100 images of data/demo, in
# minutes on two cores. The schedule is for little data and time; the network is the main config's
# but for two settings that small images need.
_base_ = 'finetune/lighthead_shufflev2star_x0_5.py'
data_root = 'data/demo/'
scale = (256, 256)
max_epochs = 60
classes = 6

model = dict(
    # Stage4 keeps stride 16: at 32 an image of 256 px would be 8 x 8, and an object hardly a cell.
    backbone=dict(init_cfg=None, dilated_stage4=True),
    neck=dict(kernel_size=3),  # 15 is meant for maps of 25 x 38
    roi_head=dict(
        bbox_roi_extractor=dict(featmap_strides=[16]),
        bbox_head=dict(num_classes=classes),
    ),
    train_cfg=dict(
        rcnn=dict(sampler=dict(num=128, pos_fraction=0.25)),
        rpn_proposal=dict(nms_pre=1000, max_per_img=500),
    ),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2] = dict(type='RandomResize', scale=scale, ratio_range=(0.8, 1.2), keep_ratio=True)
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = scale
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val.json')
test_evaluator = val_evaluator
optim_wrapper = dict(
    optimizer=dict(lr=1e-3, fused=True),
    # A weight of the separable convolutions sees thousands of inputs, all positive: a step of
    # AdamW's size throws its output about. (With SGD, the authors triple the step instead.)
    paramwise_cfg=dict(_delete_=True, custom_keys={'neck': dict(lr_mult=0.1)}),
)
auto_scale_lr = dict(base_batch_size=4)
train_cfg = dict(max_epochs=max_epochs, val_interval=20)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 50
param_scheduler[1].update(end=max_epochs, T_max=max_epochs)
custom_hooks = [
    dict(type='StopOnNonFiniteLoss'),
    dict(type='OptimizerStepEMAHook', momentum=0.01),
]
default_hooks = dict(checkpoint=dict(interval=10))
