# The recipe of lighthead_modern.py in this folder at width 0.5x, from torchvision's ImageNet weights.
_base_ = 'lighthead_modern.py'
load_from = None
model = dict(
    backbone=dict(widen_factor=0.5, init_cfg=dict(checkpoint='torchvision://shufflenet_v2_x0_5')),
    neck=dict(in_channels=(48, 96, 192)),
)
