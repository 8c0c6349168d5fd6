# ShuffleNetV2, section 3, which follows ShuffleNet (arXiv 1707.01083, section 4): 3e5 steps of 1024
# images, rate 0.5 falling linearly to 0, weight decay 4e-5; neither norms nor biases decay and
# momentum is 0.9 (authors' code). Counted in optimizer steps: tools/pretrain.py sets
# optim_wrapper.accumulative_counts to images_per_step / (processes x train_dataloader.batch_size),
# and max_steps, the schedule's `end` and --ema do not move on in between. Batch norm sees the
# batch of one process.
images_per_step = 1024
max_steps = 300_000
train_cfg = dict(type='OptimizerStepLoop', max_steps=max_steps, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    # 0.5 x (1 - step / max_steps): 0 is reached after the last step
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=0, end=max_steps + 1)
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.5, momentum=0.9, weight_decay=4e-5),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
