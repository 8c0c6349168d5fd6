"""Test-time settings, read from a model that the plain tensor code can replace."""

from mmdet.models.detectors import BaseDetector

from lighthead.deploy.inference_settings import InferenceSettings
from lighthead.errors import UserError
from lighthead.models.context_pan import ContextPAN
from lighthead.models.large_separable_conv import LargeSeparableConv
from lighthead.models.light_head_rcnn import LightHeadRCNN
from lighthead.models.light_head_rpn import LightHeadRPN
from lighthead.models.quality_rpn import QualityRPN
from lighthead.ops.nms import is_plain_nms

SUPPORTED = ((LargeSeparableConv, LightHeadRPN), (ContextPAN, QualityRPN))
"""Pairs of neck and RPN whose computation is known here."""


def read_settings(model: BaseDetector) -> InferenceSettings:
    """The test-time settings of a model.

    Raises:
        UserError: the model is no Light-Head R-CNN, or does something that is not known here.
    """
    check_model(model)
    rpn, rcnn = model.test_cfg.rpn, model.test_cfg.rcnn
    head = model.roi_head.bbox_head
    layer = model.roi_head.bbox_roi_extractor.roi_layers[0]
    fields = dict(
        nms_pre=rpn.nms_pre,
        rpn_iou=rpn.nms.iou_threshold,
        max_proposals=rpn.max_per_img,
        min_size=rpn.get('min_bbox_size', 0),
        score_thr=rcnn.score_thr,
        final_iou=rcnn.nms.iou_threshold,
        max_detections=rcnn.max_per_img,
        num_classes=head.num_classes,
        class_agnostic=head.reg_class_agnostic,
        bins=layer.output_size,
        stride=round(1 / layer.spatial_scale),
        sampling_ratio=layer.sampling_ratio,
        mode=layer.mode,
        anchor_stride=model.rpn_head.prior_generator.strides[0],
        rpn_score_thr=rpn.get('score_thr', -1.0),
    )
    return InferenceSettings.parse(fields, 'The test settings of the model')


def is_supported(model: BaseDetector) -> bool:
    """Whether :func:`read_settings` can read this model."""
    try:
        check_model(model)
    except UserError:
        return False
    return True


def check_model(model: BaseDetector) -> None:
    """Raise a UserError for a model that does something that is not known here."""
    if not isinstance(model, LightHeadRCNN):
        raise UserError(
            f'Only LightHeadRCNN can be exported, and this checkpoint is a '
            f"{type(model).__name__}: use mmdetection's own deployment for it."
        )
    for name in ('rpn', 'rcnn'):
        nms = model.test_cfg[name].nms
        if not is_plain_nms(nms):
            raise UserError(
                f'test_cfg.{name}.nms={dict(nms)} cannot be exported: only '
                "dict(type='nms', iou_threshold=...) can."
            )
    head = model.roi_head.bbox_head
    if (type(model.neck), type(model.rpn_head)) not in SUPPORTED or head.num_shared_fcs != 1:
        raise UserError(
            f'{type(model.neck).__name__} with {type(model.rpn_head).__name__} and '
            f'{head.num_shared_fcs} shared fcs cannot be exported: only '
            + ' or '.join(f'{neck.__name__} with {rpn.__name__}' for neck, rpn in SUPPORTED)
            + ', and one shared fc.'
        )
    if not model.rpn_head.use_sigmoid_cls or model.rpn_head.cls_out_channels != 1:
        raise UserError(
            'An RPN with several logits per anchor cannot be exported: it needs use_sigmoid and '
            'one class.'
        )
    if head.bbox_coder.add_ctr_clamp or getattr(model.rpn_head.bbox_coder, 'add_ctr_clamp', False):
        raise UserError('A box coder with add_ctr_clamp cannot be exported.')
