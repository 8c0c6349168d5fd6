# ImageNet pretraining of ShuffleNet v1 (g = 3), width 1.0x (the 140M column of Table 7). The other columns:
#   --cfg-options model.backbone.widen_factor=0.5 (40M), 1.5 (300M), 2.0 (500M)
_base_ = 'shufflev2star.py'
model = dict(backbone=dict(_delete_=True, type='ShuffleNetV1', widen_factor=1.0))
