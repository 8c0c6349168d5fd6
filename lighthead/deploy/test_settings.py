"""The numbers of a detector's two suppressions and decodings, read from its model."""

from dataclasses import dataclass

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from torch import Tensor

from lighthead.errors import UserError
from lighthead.models.large_separable_conv import LargeSeparableConv
from lighthead.models.light_head_rcnn import LightHeadRCNN
from lighthead.ops.nms import is_plain_nms

CANDIDATES_PER_DETECTION = 50
"""Where no useful score threshold bounds them, this many candidates per detection go on."""
LOW_THRESHOLD = 0.01
"""Above it, a RoI can have so few candidates that no cut is needed."""


@dataclass(frozen=True)
class Settings:
    """What happens between the convolutions and the answer.

    Attributes:
        nms_pre, rpn_iou, max_proposals, min_size: Of the proposals.
        score_thr, final_iou, max_detections: Of the detections.
        num_classes: Without background.
        class_agnostic: Whether a RoI has one box, or one per class.
        bins, stride, sampling_ratio, mode: Of PS-RoI align.
        anchor_stride: Of the map that the anchors stand on.
    """

    nms_pre: int
    rpn_iou: float
    max_proposals: int
    min_size: float
    score_thr: float
    final_iou: float
    max_detections: int
    num_classes: int
    class_agnostic: bool
    bins: tuple[int, int]
    stride: int
    sampling_ratio: int
    mode: str
    anchor_stride: tuple[int, int]

    @classmethod
    def from_model(cls, model: BaseDetector) -> 'Settings':
        """Read them.

        Raises:
            UserError: the model is no Light-Head R-CNN, or does something that an
                exported file does not.
        """
        if not isinstance(model, LightHeadRCNN):
            raise UserError(
                f'Only LightHeadRCNN can be exported, and this checkpoint is a '
                f"{type(model).__name__}: use mmdetection's own deployment for it."
            )
        rpn, rcnn = model.test_cfg.rpn, model.test_cfg.rcnn
        head, neck = model.roi_head.bbox_head, model.neck
        layer = model.roi_head.bbox_roi_extractor.roi_layers[0]
        for name, cfg in (('rpn', rpn), ('rcnn', rcnn)):
            if not is_plain_nms(cfg.nms):
                raise UserError(
                    f'test_cfg.{name}.nms={dict(cfg.nms)} cannot be exported: only '
                    "dict(type='nms', iou_threshold=...) can."
                )
        if not isinstance(neck, LargeSeparableConv) or head.num_shared_fcs != 1:
            raise UserError(
                'Only a LargeSeparableConv neck and a head with one shared fc can be exported.'
            )
        if not model.rpn_head.use_sigmoid_cls:
            raise UserError('An RPN with two logits per anchor cannot be exported: use_sigmoid.')
        return cls(
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
        )

    @classmethod
    def fits(cls, model: BaseDetector) -> bool:
        """Whether :meth:`from_model` can read this model."""
        try:
            cls.from_model(model)
        except UserError:
            return False
        return not model.roi_head.bbox_head.bbox_coder.add_ctr_clamp

    @property
    def max_candidates(self) -> int | None:
        """How many of an image's candidates (RoI, class) are suppressed; None: all."""
        if self.score_thr >= LOW_THRESHOLD:
            return None
        count = CANDIDATES_PER_DETECTION * self.max_detections
        return count if count < self.max_proposals * self.num_classes else None


class BoxDecoder(torch.nn.Module):
    """mmdet's ``DeltaXYWHBBoxCoder.decode`` for batches, with sizes that are tensors."""

    def __init__(self, coder: DeltaXYWHBBoxCoder) -> None:
        super().__init__()
        self.register_buffer('means', torch.tensor(coder.means, dtype=torch.float32))
        self.register_buffer('stds', torch.tensor(coder.stds, dtype=torch.float32))
        if coder.add_ctr_clamp:
            raise UserError('A box coder with add_ctr_clamp cannot be exported.')
        self.clip = coder.clip_border

    def forward(self, rois: Tensor, deltas: Tensor, sizes: Tensor) -> Tensor:
        """Boxes (..., 4) from ``rois`` and ``deltas`` (..., 4), inside ``sizes`` (..., 2)."""
        deltas = deltas * self.stds + self.means
        low, high = rois[..., :2], rois[..., 2:]
        centre, extent = (low + high) * 0.5, high - low
        centre = centre + extent * deltas[..., :2]
        half = extent * deltas[..., 2:].clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp() * 0.5
        corners = torch.cat((centre - half, centre + half), dim=-1)
        if not self.clip:
            return corners
        height, width = sizes[..., :1], sizes[..., 1:]
        limits = torch.cat((width, height, width, height), dim=-1)
        return torch.minimum(corners.clamp(min=0), limits)


MAX_LOG_RATIO = 4.135166556742356
"""-log(16 / 1000), mmdet's limit of a box's growth."""
