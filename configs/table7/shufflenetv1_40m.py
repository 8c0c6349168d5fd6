# ShuffleNet v1 (g = 3) 0.5x, the 40M cell of the paper's Table 7:
# 37.6 M multiply-adds at 224.
# No weights are published: it starts from scratch, the norms train, nothing is frozen. With weights
# of your own, set init_cfg, and frozen_stages=1 and norm_eval=True as the authors do.
_base_ = '../lighthead_shufflev2star.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ShuffleNetV1',
        widen_factor=0.5,
        out_indices=(1, 2),  # C4 = stage3 (stride 16), C5 = stage4 (stride 32)
    ),
    neck=dict(in_channels=480),
    rpn_head=dict(in_channels=240),
)
