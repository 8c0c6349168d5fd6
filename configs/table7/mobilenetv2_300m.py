# MobileNet v2 1.0, the 300M cell of the paper's Table 7:
# 300.8 M multiply-adds at 224. torchvision's weights fit this one:
#   --cfg-options model.backbone.init_cfg.type=Pretrained
#     model.backbone.init_cfg.checkpoint=torchvision://mobilenet_v2
#     model.backbone.frozen_stages=1 model.backbone.norm_eval=True
_base_ = 'mobilenetv2_40m.py'
model = dict(
    backbone=dict(widen_factor=1.0),
    rpn_head=dict(in_channels=96),
)
