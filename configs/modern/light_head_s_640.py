# As light_head_s_416.py, at 640 x 400.
_base_ = 'light_head_s_416.py'
scale = (640, 400)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(
        type='RandomZoom',
        scaling_ratio_range=(0.6, 1.5),
        max_rotate_degree=3.0,
        max_shear_degree=1.0,
    ),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(4, 4), keep_empty=False),
    dict(type='YOLOXHSVRandomAug', hue_delta=8, saturation_delta=40, value_delta=40),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
