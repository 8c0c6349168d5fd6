# 80 classes: the first weights of configs/finetune/, and the detector lighthead-coco. The backbone is
# NanoDet-Plus' and stays; NanoDet-Plus teaches the levels, the RPN and the class scores
# (docs/lighthead-coco.md has data and command).
_base_ = 'lighthead_modern.py'
max_epochs = 25
model = dict(
    backbone=dict(frozen_stages=3),
    loss_distill_levels=dict(loss_weight=2.0),
    rpn_head=dict(loss_distill_cls=dict(loss_weight=2.0), loss_distill_box=dict(loss_weight=2.0)),
    roi_head=dict(
        loss_distill_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=2.0)
    ),
)
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs, T_max=max_epochs)
custom_hooks = [
    dict(type='StopOnNonFiniteLoss'),
    dict(type='OptimizerStepEMAHook', momentum=0.002),
    dict(type='TeacherHook', shared_backbone=True),
]
# The last epoch is the model: nothing is chosen on the validation images.
default_hooks = dict(checkpoint=dict(save_best=None))
