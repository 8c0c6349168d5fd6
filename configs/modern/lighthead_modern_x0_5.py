# The modern light-head detector, ShuffleNetV2 0.5x.
_base_ = 'lighthead_modern.py'
model = dict(
    backbone=dict(widen_factor=0.5, init_cfg=dict(checkpoint='torchvision://shufflenet_v2_x0_5')),
    neck=dict(in_channels=(48, 96, 192)),
)
