# The modern light-head detector, ShuffleNetV2 1.0x, at 416 pixels:
#   python tools/train.py configs/modern/lighthead_modern.py --data-root DIR
_base_ = ['../_base_/models/light_head_modern.py', '../_base_/modern_416.py']
