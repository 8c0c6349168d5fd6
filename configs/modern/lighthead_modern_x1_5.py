# The modern light-head detector, ShuffleNetV2 1.5x.
_base_ = 'lighthead_modern.py'
model = dict(
    backbone=dict(widen_factor=1.5, init_cfg=dict(checkpoint='torchvision://shufflenet_v2_x1_5')),
    neck=dict(in_channels=(176, 352, 704)),
)
