# ImageNet pretraining of ShuffleNetV2*, width 2.0x; dropout before fc as in the authors' code.
_base_ = 'shufflev2star.py'
model = dict(backbone=dict(widen_factor=2.0), dropout=0.2)
