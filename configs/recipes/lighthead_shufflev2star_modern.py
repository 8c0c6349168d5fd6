# A second, modern recipe for the main detector: AdamW with a cosine and a warm-up, multi-scale
# training, colour augmentation, averaged weights with a warm-up of their own. Network, losses and
# OHEM stay the authors'. The figures follow common practice and were not measured.
_base_ = '../lighthead_shufflev2star.py'
max_epochs = 24
train_pipeline = _base_.train_pipeline
train_pipeline[2] = dict(
    type='RandomChoiceResize',
    scales=[(1400, short_side) for short_side in range(600, 1001, 50)],
    keep_ratio=True,
)
# before the images are packed: brightness, contrast, saturation, hue
train_pipeline.insert(4, dict(type='PhotoMetricDistortion'))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=1000),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        begin=0,
        end=max_epochs,
        T_max=max_epochs,
        eta_min_ratio=0.01,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(
    # for 16 images per step; auto_scale_lr scales it
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-4, weight_decay=0.05),
    # AdamW's steps do not grow with the gradients, so the separable convolutions need no factor
    paramwise_cfg=dict(_delete_=True, norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=10, norm_type=2),
)
custom_hooks = [
    dict(type='StopOnNonFiniteLoss'),
    dict(type='OptimizerStepEMAHook', momentum=0.0002),
]
