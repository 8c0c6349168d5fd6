# ShuffleNetV2*, width 1.0x, fine-tuned from ShuffleNetV2's published weights, instead of 3e5 steps from
# scratch. The start is lossless: the added layers pass their input on, fc comes along, and batch
# norm keeps its statistics (norm_eval), so that the first step sees v2's own outputs. A tenth of
# the steps at a tenth of the rate: a guess, not measured.
# The other widths: --cfg-options model.backbone.widen_factor=0.5
#   model.backbone.init_cfg.checkpoint=torchvision://shufflenet_v2_x0_5
_base_ = 'shufflev2star.py'
max_steps = 30_000
model = dict(
    backbone=dict(
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://shufflenet_v2_x1_0'),
    )
)
train_cfg = dict(max_steps=max_steps)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=500),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=500, end=max_steps + 1),
]
optim_wrapper = dict(optimizer=dict(lr=0.05))
