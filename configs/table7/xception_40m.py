# Light Xception, width 0.5x, the 40M cell of the paper's Table 7:
# 40.0 M multiply-adds at 224, complexity-matched.
# Nobody publishes weights of this network: it starts from scratch, the norms train, nothing is
# frozen. With weights of your own (tools/pretrain.py), set init_cfg, and as the authors do
# frozen_stages=0, norm_eval=True and norm_cfg=dict(type='BN', requires_grad=False).
_base_ = '../lighthead_shufflev2star.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='LightXception',
        widen_factor=0.5,
        out_indices=(1, 2),  # C4 = stage3 (stride 16), C5 = stage4 (stride 32)
    ),
    neck=dict(in_channels=288),
    rpn_head=dict(in_channels=144),
)
