# ShuffleNetV2*, width 0.5x, the 40M cell of the paper's Table 7.
_base_ = 'lighthead_shufflev2star.py'
model = dict(
    backbone=dict(
        widen_factor=0.5,
        init_cfg=dict(checkpoint='torchvision://shufflenet_v2_x0_5'),
    ),
    rpn_head=dict(in_channels=96),
)
