# Images of 416 pixels, zoomed in and out and with changed colours; AdamW with a cosine; averaged
# weights. The recipe of configs/modern/.
_base_ = ['datasets/coco_detection.py', 'default_runtime.py']
scale = (416, 416)
max_epochs = 30
batch_size = 8
lr = 1e-3

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(
        type='RandomZoom',
        scaling_ratio_range=(0.6, 1.5),
        max_rotate_degree=3.0,
        max_shear_degree=1.0,
    ),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(4, 4), keep_empty=False),
    dict(type='YOLOXHSVRandomAug', hue_delta=8, saturation_delta=40, value_delta=40),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = scale
train_dataloader = dict(batch_size=batch_size, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(type='ResumableEpochLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        begin=0,
        end=max_epochs,
        T_max=max_epochs,
        eta_min_ratio=0.02,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=lr, weight_decay=0.05),
    # The pretrained stages move slowly, so that few images do not undo what they know.
    paramwise_cfg=dict(
        norm_decay_mult=0.0, bias_decay_mult=0.0, custom_keys={'backbone': dict(lr_mult=0.1)}
    ),
    clip_grad=dict(max_norm=35, norm_type=2),
)
# The rate is for 8 images per step and is scaled to what is really used.
auto_scale_lr = dict(enable=True, base_batch_size=8)
custom_hooks = [
    dict(type='StopOnNonFiniteLoss'),
    dict(type='OptimizerStepEMAHook', momentum=0.002),
    dict(type='TeacherHook'),
]
default_hooks = dict(logger=dict(interval=10))
