# The authors' multi-scale training ("last runs" of the Light-Head R-CNN code): a short side of 600,
# 700, 800, 900 or 1000 for each image, the long side at most 1400. Tested at 800, long side 1333
# (authors' code). In place of coco_detection.py.
_base_ = 'coco_detection.py'
scale = (1333, 800)
train_pipeline = _base_.train_pipeline
train_pipeline[2] = dict(
    type='RandomChoiceResize',
    scales=[(1400, short_side) for short_side in (600, 700, 800, 900, 1000)],
    keep_ratio=True,
)
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = scale
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
