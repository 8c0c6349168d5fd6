# lighthead-people, the person detector that the package carries; docs/modern.md says how its data
# is made and where weights and teacher come from:
#   python tools/train.py configs/modern/lighthead_people.py --data-root DIR --amp --cfg-options \
#       model.backbone.init_cfg.checkpoint=shufflenetv2_x1_nanodet_plus_coco.pth \
#       custom_hooks.2.param=nanodet-plus-m_416.param custom_hooks.2.weights=nanodet-plus-m_416.bin
# The backbone stays as it was trained on COCO, so teacher and student share it.
_base_ = 'lighthead_modern.py'
max_epochs = 30
model = dict(
    backbone=dict(frozen_stages=3),
    rpn_head=dict(loss_distill_cls=dict(loss_weight=2.0)),
)
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
optim_wrapper = dict(optimizer=dict(lr=1.4e-3))
auto_scale_lr = dict(base_batch_size=16)  # two processes with 8 images each
custom_hooks = [
    dict(type='StopOnNonFiniteLoss'),
    dict(type='OptimizerStepEMAHook', momentum=0.002),
    dict(type='TeacherHook', classes=[0], shared_backbone=True),
]
# The last epoch is the model: nothing is chosen on the validation images.
default_hooks = dict(checkpoint=dict(save_best=None))
