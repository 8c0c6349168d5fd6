# Light-Head R-CNN (arXiv 1711.07264), the S layout for small, fast networks, and the paper's
# detector of ShuffleNet V2 (arXiv 1807.11164, Table 7): conv5 is kept at stride 32 and feeds the
# separable convolution, the RPN works on stage3 (stride 16). docs/fidelity.md compares every setting
# with the papers and with the authors' code.
#
# data_preprocessor without mean, std and bgr_to_rgb, and a backbone without act_cfg, take them
# from the pretrained weights. Where they are written here, they must agree with the weights.
model = dict(
    type='LightHeadRCNN',
    data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
    backbone=dict(
        type='ShuffleNetV2',
        widen_factor=1.0,
        star=True,
        out_indices=(1, 3),  # C4 = stage3 (stride 16), C5 = conv5 (stride 32)
        frozen_stages=0,  # authors' code: what comes before stride 4; here conv1 and maxpool
        # Batch norm is frozen, scale and shift too (authors' code).
        norm_eval=True,
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://shufflenet_v2_x1_0'),
    ),
    neck=dict(
        type='LargeSeparableConv',
        in_channels=1024,
        mid_channels=64,  # S (section 3.2); L has 256
        out_channels=490,  # 10 x 7 x 7
        kernel_size=15,
    ),
    rpn_head=dict(
        type='LightHeadRPN',
        in_channels=232,
        feat_channels=256,  # S; L has 512
        anchor_generator=dict(  # section 3.3: 5 scales {32..512} x 3 ratios
            type='AnchorGenerator',
            scales=[2, 4, 8, 16, 32],
            ratios=[0.5, 1.0, 2.0],
            strides=[16],
        ),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[1.0, 1.0, 1.0, 1.0]
        ),
        # One logit per anchor. The authors' code has two and a softmax, which is the sigmoid of
        # their difference: the same probabilities for 15 M more multiply-adds.
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type='SmoothL1Loss', beta=1 / 9, loss_weight=1.0),  # sigma 3
    ),
    roi_head=dict(
        type='LightHeadRoIHead',
        ohem_rois_per_image=256,  # K = 256 x images, over all RoIs (section 4.1)
        bbox_roi_extractor=dict(
            type='PSRoIExtractor',
            # The authors' code takes the maximum over 2 x 2 samples per bin.
            roi_layer=dict(output_size=7, sampling_ratio=2, mode='max'),
            out_channels=10,
            featmap_strides=[32],
        ),
        bbox_head=dict(
            type='LightHeadBBoxHead',
            num_shared_fcs=1,
            in_channels=10,
            roi_feat_size=7,
            fc_out_channels=2048,
            num_classes=80,
            reg_class_agnostic=True,  # as the paper has it; the authors' code is class-specific
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder',
                target_means=[0.0] * 4,
                target_stds=[0.1, 0.1, 0.2, 0.2],  # authors' code
            ),
            loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=2.0),  # authors' code: x2
            # Gaussian initialisation, .001 for the boxes (authors' code).
            init_cfg=[
                dict(type='Normal', layer='Linear', std=0.01),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
            ],
        ),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.7,  # section 3.3
                neg_iou_thr=0.3,
                # Each box gets its best anchor, however small the overlap (authors' code). With 0,
                # a box that no anchor touches would get all the anchors that it does not touch.
                min_pos_iou=1e-6,
                match_low_quality=True,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type='RandomSampler',
                num=256,  # anchors per image, 1:1 (section 3.3)
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=0,  # only anchors inside the image are trained (authors' code)
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=dict(  # authors' code: 12000 -> 2000
            nms_pre=12000,
            max_per_img=2000,
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
            # All proposals and the ground truth compete (OHEM, section 4.1). The plain recipe:
            # sampler.type=RandomSampler sampler.num=256 sampler.pos_fraction=0.25, and
            # roi_head.ohem_rois_per_image=0.
            sampler=dict(type='AllRoIsSampler'),
            pos_weight=-1,
            debug=False,
        ),
    ),
    test_cfg=dict(
        rpn=dict(  # authors' code: 6000 -> 1000
            nms_pre=6000,
            max_per_img=1000,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(  # no score threshold, NMS 0.5, 100 detections
            score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100
        ),
    ),
)
