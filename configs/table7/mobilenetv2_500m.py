# MobileNet v2 1.4, the 500M cell of the paper's Table 7: 582.2 M multiply-adds at 224.
# timm publishes weights of this network: put the model.safetensors of its mobilenetv2_140.ra_in1k at
# the path below, or name yours with --cfg-options model.backbone.init_cfg.checkpoint=FILE,
# or start without any: --from-scratch.
_base_ = 'mobilenetv2_300m.py'
model = dict(
    backbone=dict(
        widen_factor=1.4,
        init_cfg=dict(checkpoint='weights/mobilenetv2_140.ra_in1k.safetensors'),
    ),
    neck=dict(in_channels=1792),
    rpn_head=dict(in_channels=136),
)
