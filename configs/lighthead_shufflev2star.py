# ShuffleNetV2* 1x, the 140M cell of the paper's Table 7.
_base_ = [
    '_base_/models/light_head_rcnn_s.py',
    '_base_/datasets/coco_detection.py',
    '_base_/schedules/light_head_2m.py',
    '_base_/default_runtime.py',
]
