# Light Xception, width 1.0x, the 140M cell of the paper's Table 7:
# 143.1 M multiply-adds at 224.
_base_ = 'xception_40m.py'
model = dict(
    backbone=dict(widen_factor=1.0),
    neck=dict(in_channels=576),
    rpn_head=dict(in_channels=288),
)
