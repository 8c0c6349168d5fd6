# ShuffleNetV2*, width 1.0x, for a data set of your own, of hundreds to thousands of images, at
# 512 x 384: python tools/train.py configs/finetune/lighthead_shufflev2star.py --data-root DIR
# Differences from the COCO recipe: smaller images, batch norm that trains, AdamW with a cosine, a
# random choice of RoIs (OHEM starves on few images), a faster EMA. The rates were chosen at width
# 0.5x; the other widths take them over unmeasured.
_base_ = '../lighthead_shufflev2star.py'
scale = (512, 384)
max_epochs = 70
lr = 8e-4
batch_size = 8

model = dict(
    backbone=dict(frozen_stages=-1, norm_eval=False, norm_cfg=dict(requires_grad=True)),
    roi_head=dict(ohem_rois_per_image=0),
    train_cfg=dict(
        # At 512 x 384, the 3 anchors of 512 pixels (of 15 in all) are never inside an image: by the
        # authors' rule nothing would train their logits, which compete with the others in a test.
        # min_pos_iou is mmdet's, with which this recipe's figures were measured.
        rpn=dict(allowed_border=-1, assigner=dict(min_pos_iou=0.3)),
        rcnn=dict(
            sampler=dict(
                _delete_=True,
                type='RandomSampler',
                num=256,
                pos_fraction=0.25,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            )
        ),
        rpn_proposal=dict(nms_pre=2000, max_per_img=1000),
    ),
    test_cfg=dict(rpn=dict(nms_pre=1000, max_per_img=300), rcnn=dict(score_thr=0.001)),
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = scale
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = scale
train_dataloader = dict(batch_size=batch_size, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=max_epochs, val_interval=5)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        by_epoch=True,
        begin=0,
        end=max_epochs,
        T_max=max_epochs,
        eta_min_ratio=0.01,
        convert_to_iter_based=True,
    ),
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=lr, weight_decay=0.05),
    # The pretrained stages move slowly, so that few images do not undo what they know.
    paramwise_cfg=dict(
        _delete_=True,
        custom_keys={'backbone.conv1': dict(lr_mult=0.2), 'backbone.stage': dict(lr_mult=0.2)},
    ),
)
# The rate is for 8 images per step and is scaled to what is really used.
auto_scale_lr = dict(enable=True, base_batch_size=8)
custom_hooks = [
    dict(type='StopOnNonFiniteLoss'),
    dict(type='OptimizerStepEMAHook', momentum=0.005),
]
default_hooks = dict(logger=dict(interval=10))
