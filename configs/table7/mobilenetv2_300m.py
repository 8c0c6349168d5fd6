# MobileNet v2 1.0, the 300M cell of the paper's Table 7: 300.8 M multiply-adds at 224.
_base_ = 'mobilenetv2_40m.py'
model = dict(
    backbone=dict(
        widen_factor=1.0,
        frozen_stages=0,
        norm_eval=True,
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://mobilenet_v2'),
    ),
    rpn_head=dict(in_channels=96),
)
