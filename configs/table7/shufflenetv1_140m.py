# ShuffleNet v1 (g = 3), width 1.0x, the 140M cell of the paper's Table 7: 137.5 M multiply-adds
# at 224. Weights: see shufflenetv1_40m.py.
_base_ = 'shufflenetv1_40m.py'
model = dict(
    backbone=dict(
        widen_factor=1.0,
        init_cfg=dict(checkpoint='weights/shufflenetv1_g3_x1_0.pth'),
    ),
    neck=dict(in_channels=960),
    rpn_head=dict(in_channels=480),
)
