# The detector of 2018 on the modern one's terms, for comparison: Light-Head R-CNN (S) with the same
# backbone, images, augmentation and schedule; RoIs chosen at random as in configs/finetune/.
_base_ = ['../_base_/models/light_head_rcnn_s.py', '../_base_/modern_416.py']
model = dict(
    backbone=dict(star=False, frozen_stages=0),
    roi_head=dict(ohem_rois_per_image=0),
    train_cfg=dict(
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
# conv5 has no pretrained weights, so it moves as fast as the head.
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.1),
            'backbone.conv5': dict(lr_mult=1.0),
        }
    )
)
