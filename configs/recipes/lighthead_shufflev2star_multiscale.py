# The main detector with the authors' multi-scale training (their last runs; about one point of AP
# for ResNet-101 in their README). The longer long side alone, without it:
#   python tools/train.py configs/lighthead_shufflev2star.py --cfg-options
#     train_dataloader.dataset.pipeline.2.scale="(1333,800)"
#     val_dataloader.dataset.pipeline.1.scale="(1333,800)"
#     test_dataloader.dataset.pipeline.1.scale="(1333,800)"
_base_ = [
    '../_base_/models/light_head_rcnn_s.py',
    '../_base_/datasets/coco_multiscale.py',
    '../_base_/schedules/sgd_2m_images.py',
    '../_base_/default_runtime.py',
]
