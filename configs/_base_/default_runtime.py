custom_imports = dict(imports=['lighthead'], allow_failed_imports=False)
default_scope = 'mmdet'
runner_type = 'LightHeadRunner'
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='OptimizerStepSchedulerHook'),
    checkpoint=dict(
        type='SafeCheckpointHook',
        interval=1,
        iter_interval=500,
        max_keep_ckpts=3,
        save_best='coco/bbox_mAP',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='ValidationImagesHook'),
    report=dict(type='ReportHook'),
)
custom_hooks = [
    dict(type='StopOnNonFiniteLoss'),
    # The authors' average: decay min(0.9999, (1 + n) / (10 + n)) at optimizer step n. Batch-norm
    # statistics are averaged too, which matters where the norms train.
    dict(type='OptimizerStepEMAHook', momentum=0.0001),
]
env_cfg = dict(
    cudnn_benchmark=False,  # images come in many sizes, each of which would be benchmarked first
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)
visualizer = dict(
    type='DetLocalVisualizer',
    name='visualizer',
    vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')],
)
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
