# A light-head detector for small inputs (416 pixels): a pyramid with an RPN at strides 8 to 64 whose
# scores predict IoU, PS-RoI align on a thin map of 5 x 7 x 7 channels, one fc. docs/modern.md has
# what each part brings.
channels = 96
model = dict(
    type='ModernLightHead',
    loss_distill_levels=dict(type='FeatureCorrelationLoss', loss_weight=1.0),
    data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
    backbone=dict(
        type='ShuffleNetV2',
        widen_factor=1.0,
        out_indices=(0, 1, 2),  # strides 8, 16, 32
        with_conv5=False,
        frozen_stages=0,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://shufflenet_v2_x1_0'),
    ),
    neck=dict(type='ContextPAN', in_channels=(116, 232, 464), channels=channels),
    rpn_head=dict(
        type='QualityRPN',
        num_classes=1,
        in_channels=channels,
        feat_channels=channels,
        stacked_convs=2,
        norm_cfg=dict(type='BN'),
        reg_max=7,
        anchor_generator=dict(
            type='AnchorGenerator',
            ratios=[1.0],
            octave_base_scale=5,
            scales_per_octave=1,
            strides=[8, 16, 32, 64],
        ),
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_dfl=dict(type='DistributionFocalLoss', loss_weight=0.25),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        loss_distill_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_distill_box=dict(type='KnowledgeDistillationKLDivLoss', T=2, loss_weight=1.0),
    ),
    roi_head=dict(
        type='QualityRoIHead',
        bbox_roi_extractor=dict(
            type='PSRoIExtractor',
            roi_layer=dict(output_size=7, sampling_ratio=2, mode='avg'),
            out_channels=5,
            featmap_strides=[8],
            num_maps=5,
        ),
        bbox_head=dict(
            type='QualityBBoxHead',
            num_shared_fcs=1,
            in_channels=5,
            roi_feat_size=7,
            fc_out_channels=1024,
            num_classes=80,
            reg_class_agnostic=True,
            reg_decoded_bbox=True,
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder',
                target_means=[0.0] * 4,
                target_stds=[0.1, 0.1, 0.2, 0.2],
            ),
            loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
            loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        ),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(type='ATSSAssigner', topk=9),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=dict(
            nms_pre=150,  # of each level
            score_thr=0.0,
            max_per_img=100,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type='RandomSampler',
                num=128,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            ),
            pos_weight=-1,
            debug=False,
        ),
    ),
    test_cfg=dict(
        rpn=dict(
            nms_pre=200,  # of each level
            score_thr=0.01,
            max_per_img=150,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(score_thr=0.01, nms=dict(type='nms', iou_threshold=0.6), max_per_img=100),
    ),
)
