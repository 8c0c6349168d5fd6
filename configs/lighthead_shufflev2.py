# ShuffleNetV2, width 1.0x, the 140M cell of the paper's Table 7.
_base_ = 'lighthead_shufflev2star.py'
model = dict(backbone=dict(star=False))
