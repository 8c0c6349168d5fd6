# Light Xception, width 2.0x, the 500M cell of the paper's Table 7:
# 523.7 M multiply-adds at 224, complexity-matched.
_base_ = 'xception_40m.py'
model = dict(
    backbone=dict(widen_factor=2.0),
    neck=dict(in_channels=1136),
    rpn_head=dict(in_channels=568),
)
