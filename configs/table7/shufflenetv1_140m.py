# ShuffleNet v1 (g = 3) 1x, the 140M cell of the paper's Table 7:
# 137.5 M multiply-adds at 224.
_base_ = 'shufflenetv1_40m.py'
model = dict(
    backbone=dict(widen_factor=1.0),
    neck=dict(in_channels=960),
    rpn_head=dict(in_channels=480),
)
