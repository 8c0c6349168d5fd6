# MobileNet v2 1.4, the 500M cell of the paper's Table 7:
# 582.2 M multiply-adds at 224.
_base_ = 'mobilenetv2_40m.py'
model = dict(
    backbone=dict(widen_factor=1.4),
    neck=dict(in_channels=1792),
    rpn_head=dict(in_channels=136),
)
