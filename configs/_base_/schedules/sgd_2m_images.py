# Light-Head R-CNN, section 4.2 and authors' code: 16 images per step, SGD, lr 0.01, then a tenth of
# it; 2.0 to 2.4 M images in all. That is 20 epochs of train2017, with drops after 1.5 M images
# (epoch 13) and 2.0 M (epoch 17), as in the code's 30 epochs of 80 k with drops at 19 and 25.
max_epochs = 20
train_cfg = dict(type='ResumableEpochLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    # warm-up of 500 iterations from a third of the rate (authors' code)
    dict(type='LinearLR', start_factor=1 / 3, by_epoch=False, begin=0, end=500),
    dict(
        type='MultiStepLR', by_epoch=True, begin=0, end=max_epochs, milestones=[13, 17], gamma=0.1
    ),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001),
    # Authors' code: biases do not decay (neither do norms, which are frozen there), and the
    # gradients of the separable convolutions, weight decay included, are multiplied by 3, which
    # with SGD is three times the rate. The biases among them need keys of their own.
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        custom_keys={
            'neck': dict(lr_mult=3.0),
            'neck.tall_wide.0.bias': dict(lr_mult=3.0, decay_mult=0.0),
            'neck.tall_wide.1.bias': dict(lr_mult=3.0, decay_mult=0.0),
            'neck.wide_tall.0.bias': dict(lr_mult=3.0, decay_mult=0.0),
            'neck.wide_tall.1.bias': dict(lr_mult=3.0, decay_mult=0.0),
        },
    ),
    clip_grad=dict(max_norm=35, norm_type=2),  # not the authors': it only bounds rare outliers
)
# The rate is for 16 images per step and is scaled to what is really used.
auto_scale_lr = dict(enable=True, base_batch_size=16)
