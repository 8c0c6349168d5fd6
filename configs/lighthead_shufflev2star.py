# ShuffleNetV2*, width 1.0x, the 140M cell of the paper's Table 7.
# Nobody publishes weights of ShuffleNetV2*. With ShuffleNetV2's, which are set here, the added layers
# start as identities and learn from COCO alone. The paper's way is to pretrain the whole network:
#   python tools/pretrain.py configs/pretrain/shufflev2star.py --data-root data/imagenet
# and then --cfg-options model.backbone.init_cfg.checkpoint=work_dirs/shufflev2star/reestimated.pth
# (the other widths alike).
_base_ = [
    '_base_/models/light_head_rcnn_s.py',
    '_base_/datasets/coco_detection.py',
    '_base_/schedules/sgd_2m_images.py',
    '_base_/default_runtime.py',
]
