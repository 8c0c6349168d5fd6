# ShuffleNet v1 (g = 3), width 1.5x, the 300M cell of the paper's Table 7: 292.4 M multiply-adds
# at 224. Weights: see shufflenetv1_40m.py.
_base_ = 'shufflenetv1_40m.py'
model = dict(
    backbone=dict(
        widen_factor=1.5,
        init_cfg=dict(checkpoint='weights/shufflenetv1_g3_x1_5.pth'),
    ),
    neck=dict(in_channels=1440),
    rpn_head=dict(in_channels=720),
)
