# ImageNet pretraining of ShuffleNetV2, width 0.5x.
_base_ = 'shufflev2star_x0_5.py'
model = dict(backbone=dict(star=False))
