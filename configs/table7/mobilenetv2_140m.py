# MobileNet v2 0.6, the 140M cell of the paper's Table 7:
# 139.3 M multiply-adds at 224, complexity-matched.
_base_ = 'mobilenetv2_40m.py'
model = dict(
    backbone=dict(widen_factor=0.6),
    rpn_head=dict(in_channels=60),
)
