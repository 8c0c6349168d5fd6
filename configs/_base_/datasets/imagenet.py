# ImageNet in data/imagenet (train/<class>/*.JPEG, val/<class>/*.JPEG), or --data-root.
# Scale augmentation less aggressive than the usual 8 % of the area (ShuffleNet, arXiv 1707.01083,
# section 4, which ShuffleNetV2 follows; it gives no number: a quarter is lighthead's choice), colours
# jittered as in the authors' code, mirrored; evaluation at the central 224 of 256.
data_root = 'data/imagenet/'
train_dataloader = dict(
    batch_size=128,  # per process; see images_per_step
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='ResumableSampler', shuffle=True),
    batch_sampler=dict(type='ResumableBatchSampler', drop_last=True, group_by_aspect_ratio=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='ImageFolderDataset',
        data_root=data_root,
        split='train',
        transform=dict(size=224, scale=(0.25, 1.0), flip_prob=0.5, color_jitter=0.4),
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='ImageFolderDataset',
        data_root=data_root,
        split='val',
        test_mode=True,
        transform=dict(size=224, resize=256),
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='TopKAccuracy', topk=(1, 5))
test_evaluator = val_evaluator
