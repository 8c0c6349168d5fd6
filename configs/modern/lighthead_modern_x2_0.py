# The modern light-head detector, ShuffleNetV2 2.0x.
_base_ = 'lighthead_modern.py'
model = dict(
    backbone=dict(widen_factor=2.0, init_cfg=dict(checkpoint='torchvision://shufflenet_v2_x2_0')),
    neck=dict(in_channels=(244, 488, 976)),
)
