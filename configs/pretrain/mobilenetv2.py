# ImageNet pretraining of MobileNet v2 0.6 (the 140M column of Table 7). The other columns:
#   --cfg-options model.backbone.widen_factor=0.15 (40M), 1.0 (300M), 1.4 (500M)
_base_ = 'shufflev2star.py'
model = dict(
    backbone=dict(
        _delete_=True, type='StagedMobileNetV2', widen_factor=0.6, act_cfg=dict(type='ReLU6')
    )
)
