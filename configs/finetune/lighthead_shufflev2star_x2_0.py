# The recipe of lighthead_shufflev2star.py in this folder at width 2.0x.
_base_ = 'lighthead_shufflev2star.py'
model = dict(
    backbone=dict(
        widen_factor=2.0,
        init_cfg=dict(checkpoint='torchvision://shufflenet_v2_x2_0'),
    ),
    neck=dict(in_channels=2048),
    rpn_head=dict(in_channels=488),
)
