# The recipe of lighthead_shufflev2star.py in this folder at width 1.5x.
_base_ = 'lighthead_shufflev2star.py'
model = dict(
    backbone=dict(
        widen_factor=1.5,
        init_cfg=dict(checkpoint='torchvision://shufflenet_v2_x1_5'),
    ),
    rpn_head=dict(in_channels=352),
)
