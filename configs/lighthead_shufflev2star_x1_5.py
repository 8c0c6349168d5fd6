# ShuffleNetV2*, width 1.5x, the 300M cell of the paper's Table 7.
_base_ = 'lighthead_shufflev2star.py'
model = dict(
    backbone=dict(
        widen_factor=1.5,
        init_cfg=dict(checkpoint='torchvision://shufflenet_v2_x1_5'),
    ),
    rpn_head=dict(in_channels=352),
)
