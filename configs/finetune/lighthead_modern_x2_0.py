# The recipe of lighthead_modern.py in this folder at width 2.0x, from torchvision's ImageNet weights.
_base_ = 'lighthead_modern.py'
load_from = None
model = dict(
    backbone=dict(widen_factor=2.0, init_cfg=dict(checkpoint='torchvision://shufflenet_v2_x2_0')),
    neck=dict(in_channels=(244, 488, 976)),
)
