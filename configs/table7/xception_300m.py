# Light Xception, width 1.5x, the 300M cell of the paper's Table 7:
# 308.1 M multiply-adds at 224.
_base_ = 'xception_40m.py'
model = dict(
    backbone=dict(widen_factor=1.5),
    neck=dict(in_channels=864),
    rpn_head=dict(in_channels=432),
)
