# ImageNet pretraining of ShuffleNetV2*, width 1.0x:
#   python tools/pretrain.py configs/pretrain/shufflev2star.py --data-root data/imagenet
# The detection configs take what it writes:
#   --cfg-options model.backbone.init_cfg.checkpoint=work_dirs/shufflev2star/reestimated.pth
_base_ = [
    '../_base_/datasets/imagenet.py',
    '../_base_/schedules/imagenet_300k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='PretrainingClassifier',
    backbone=dict(type='ShuffleNetV2', widen_factor=1.0, star=True),
    # mean, std and colour order: torchvision's, or those of the weights in backbone.init_cfg
    data_preprocessor=dict(type='ImgDataPreprocessor'),
    num_classes=1000,  # tools/pretrain.py counts the class folders
    label_smoothing=0.1,  # authors' code
)
default_hooks = dict(
    _delete_=True,  # without the drawing of boxes
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100),
    param_scheduler=dict(type='OptimizerStepSchedulerHook'),
    checkpoint=dict(
        type='SafeCheckpointHook',
        interval=1,
        iter_interval=2000,
        max_keep_ckpts=3,
        save_best='imagenet/top1',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
custom_hooks = [
    dict(type='StopOnNonFiniteLoss'),
    dict(type='PreprocessingMetaHook'),
    # Authors' code: norm statistics measured over an epoch once the weights are final.
    dict(type='ReestimateNormsHook', images=1_280_000),
]
