# A one-stage rival on the same terms: the modern detector's backbone and pyramid with RTMDet's head
# (arXiv 2212.07784), its soft label assignment and its losses.
_base_ = 'one_stage_gfl.py'
model = dict(
    bbox_head=dict(
        _delete_=True,
        type='RTMDetSepBNHead',
        num_classes=80,
        in_channels=96,
        feat_channels=96,
        stacked_convs=2,
        share_conv=True,
        pred_kernel_size=1,
        with_objectness=False,
        norm_cfg=dict(type='BN'),
        act_cfg=dict(type='LeakyReLU', negative_slope=0.1),
        anchor_generator=dict(type='MlvlPointGenerator', offset=0, strides=[8, 16, 32, 64]),
        bbox_coder=dict(type='DistancePointBBoxCoder'),
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
    ),
    train_cfg=dict(assigner=dict(_delete_=True, type='DynamicSoftLabelAssigner', topk=13)),
)
# The levels share their convolutions, which the optimizer gets once.
optim_wrapper = dict(paramwise_cfg=dict(bypass_duplicate=True))
