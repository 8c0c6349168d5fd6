# The third round of lighthead-people, and the detector that the package carries: from the weights of
# lighthead_people_480.py, at 512 pixels, with the class scores taught too. Options as there:
#   python tools/train.py configs/modern/lighthead_people_512.py --data-root DIR --amp \
#       --img-scale 512 512 --load-from work_dirs/lighthead_people_480/epoch_22.pth --cfg-options ...
_base_ = 'lighthead_people_480.py'
max_epochs = 14
model = dict(
    roi_head=dict(
        loss_distill_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=2.0)
    ),
)
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs, T_max=max_epochs)
optim_wrapper = dict(optimizer=dict(lr=0.6e-3))
