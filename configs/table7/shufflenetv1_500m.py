# ShuffleNet v1 (g = 3), width 2.0x, the 500M cell of the paper's Table 7: 524.0 M multiply-adds
# at 224. Weights: see shufflenetv1_40m.py.
_base_ = 'shufflenetv1_40m.py'
model = dict(
    backbone=dict(
        widen_factor=2.0,
        init_cfg=dict(checkpoint='weights/shufflenetv1_g3_x2_0.pth'),
    ),
    neck=dict(in_channels=1920),
    rpn_head=dict(in_channels=960),
)
