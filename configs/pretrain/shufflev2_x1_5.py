# ImageNet pretraining of ShuffleNetV2, width 1.5x.
_base_ = 'shufflev2star_x1_5.py'
model = dict(backbone=dict(star=False))
