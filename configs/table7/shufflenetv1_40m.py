# ShuffleNet v1 (g = 3), width 0.5x, the 40M cell of the paper's Table 7: 37.6 M multiply-adds at 224.
# Its authors publish weights of this network (github.com/megvii-model/ShuffleNet-Series, by hand:
# they are on file-sharing sites). Put the file at the path below, or name yours with
#   --cfg-options model.backbone.init_cfg.checkpoint=FILE
# or start without any: --from-scratch.
_base_ = '../lighthead_shufflev2star.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ShuffleNetV1',
        widen_factor=0.5,
        out_indices=(1, 2),  # C4 = stage3 (stride 16), C5 = stage4 (stride 32)
        frozen_stages=0,
        norm_eval=True,
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=dict(type='Pretrained', checkpoint='weights/shufflenetv1_g3_x0_5.pth'),
    ),
    neck=dict(in_channels=480),
    rpn_head=dict(in_channels=240),
)
