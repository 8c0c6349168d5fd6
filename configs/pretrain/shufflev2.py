# ImageNet pretraining of ShuffleNetV2 1x.
_base_ = 'shufflev2star.py'
model = dict(backbone=dict(star=False))
