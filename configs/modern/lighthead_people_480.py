# The second round of lighthead-people: from the weights of configs/modern/lighthead_people.py, at 480
# pixels, taught more strongly. Options as there:
#   python tools/train.py configs/modern/lighthead_people_480.py --data-root DIR --amp \
#       --img-scale 480 480 --load-from work_dirs/lighthead_people/epoch_30.pth --cfg-options ...
_base_ = 'lighthead_people.py'
max_epochs = 22
model = dict(
    loss_distill_levels=dict(loss_weight=2.0),
    rpn_head=dict(loss_distill_cls=dict(loss_weight=4.0), loss_distill_box=dict(loss_weight=2.0)),
)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 50
param_scheduler[1].update(end=max_epochs, T_max=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=0.9e-3))
auto_scale_lr = dict(base_batch_size=8)
