# ImageNet pretraining of ShuffleNetV2, width 2.0x.
_base_ = 'shufflev2star_x2_0.py'
model = dict(backbone=dict(star=False))
