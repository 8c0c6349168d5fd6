# ImageNet pretraining of ShuffleNetV2, width 1.0x.
_base_ = 'shufflev2star.py'
model = dict(backbone=dict(star=False))
