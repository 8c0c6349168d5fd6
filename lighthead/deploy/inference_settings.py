"""Test-time settings (NMS, box decoding, PS-RoI align), read from a model."""

from typing import Annotated, Literal

from mmdet.models.detectors import BaseDetector
from pydantic import Field

from lighthead.checkpoint.light_head_spec import MAX_CLASSES
from lighthead.errors import UserError
from lighthead.models.context_pan import ContextPAN
from lighthead.models.large_separable_conv import LargeSeparableConv
from lighthead.models.light_head_rcnn import LightHeadRCNN
from lighthead.models.light_head_rpn import LightHeadRPN
from lighthead.models.quality_rpn import QualityRPN
from lighthead.ops.nms import is_plain_nms
from lighthead.schema import Closed, Pair, Share

CANDIDATES_PER_DETECTION = 50
"""Where no useful score threshold bounds them, this many candidates per detection go on."""
LOW_THRESHOLD = 0.01
"""Above it, a RoI can have so few candidates that no cut is needed."""
Count = Annotated[int, Field(ge=1, le=1_000_000)]
SUPPORTED = ((LargeSeparableConv, LightHeadRPN), (ContextPAN, QualityRPN))
"""Pairs of neck and RPN whose computation is known here."""


class InferenceSettings(Closed):
    """What happens between the convolutions and the detections.

    Attributes:
        nms_pre: How many anchors of a level become candidates for proposals.
        rpn_iou, max_proposals: Suppression of the candidates.
        min_size: Smallest side of a candidate, in pixels.
        score_thr, final_iou, max_detections: Suppression of the detections.
        num_classes: Without background.
        class_agnostic: Whether a RoI has one box, or one per class.
        bins, stride, sampling_ratio, mode: Of PS-RoI align.
        anchor_stride: Of the first map that anchors stand on.
        rpn_score_thr: Candidates for proposals have a higher score.
    """

    nms_pre: Count
    rpn_iou: Share
    max_proposals: Count
    min_size: Annotated[float, Field(ge=0, le=10_000)]
    score_thr: Share
    final_iou: Share
    max_detections: Count
    num_classes: Annotated[int, Field(ge=1, le=MAX_CLASSES)]
    class_agnostic: bool
    bins: Pair[Annotated[int, Field(ge=1, le=64)]]
    stride: Annotated[int, Field(ge=1, le=1024)]
    sampling_ratio: Annotated[int, Field(ge=1, le=64)]
    mode: Literal['avg', 'max']
    anchor_stride: Pair[Annotated[int, Field(ge=1, le=1024)]]
    rpn_score_thr: Annotated[float, Field(ge=-1, le=1)] = -1.0

    @classmethod
    def from_model(cls, model: BaseDetector) -> 'InferenceSettings':
        """Read them.

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
        return cls.parse(fields, 'The test settings of the model')

    @property
    def max_candidates(self) -> int | None:
        """How many of an image's candidates (RoI, class) are suppressed; None: all."""
        if self.score_thr >= LOW_THRESHOLD:
            return None
        count = CANDIDATES_PER_DETECTION * self.max_detections
        return count if count < self.max_proposals * self.num_classes else None


def is_supported(model: BaseDetector) -> bool:
    """Whether :meth:`InferenceSettings.from_model` can read this model."""
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
