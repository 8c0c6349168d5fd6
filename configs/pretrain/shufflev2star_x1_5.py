# ImageNet pretraining of ShuffleNetV2*, width 1.5x.
_base_ = 'shufflev2star.py'
model = dict(backbone=dict(widen_factor=1.5))
