"""The modern light-head detector: two stages on a pyramid, and a teacher while it trains."""

from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor, nn

from lighthead.models.light_head_rcnn import LightHeadRCNN


@MODELS.register_module()
class ModernLightHead(LightHeadRCNN):
    """backbone -> (C3, C4, C5) -> ContextPAN -> levels and thin map -> QualityRPN on the levels,
    PS-RoI align on the thin map -> one fc -> scores and boxes.

    Args:
        loss_distill_levels: Loss of the pyramid's levels against a teacher's, or None.

    Attributes:
        teachers: Empty, or one network that :class:`lighthead.engine.teacher.TeacherHook` put
            there; in a list, so that it is no part of the model's weights.
    """

    def __init__(self, *args: Any, loss_distill_levels: dict | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loss_distill_levels: nn.Module | None = None
        if loss_distill_levels:
            self.loss_distill_levels = MODELS.build(loss_distill_levels)
        self.teachers: list[nn.Module] = []
        self._stages: tuple[Tensor, ...] = ()
        self._levels: tuple[Tensor, ...] = ()

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) to the RPN's levels (strides 8 to 64) and the thin map."""
        maps = self.neck(self._stages or self._backbone_maps(batch_inputs))
        if self._stages:
            self._levels = maps[:-1]
        return maps

    def _backbone_maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """C3, C4, C5, in channels-last memory, in which small convolutions are faster."""
        return self.backbone(images.contiguous(memory_format=torch.channels_last))

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict:
        """mmdet's losses, and those against the teacher's outputs where there is one."""
        if not self.teachers:
            return super().loss(batch_inputs, batch_data_samples)
        self._stages = self._backbone_maps(batch_inputs)
        places, likeliest, teacher_levels = self.teachers[0](batch_inputs, self._stages)
        for sample, all_places, boxes in zip(batch_data_samples, places, likeliest, strict=True):
            sample.teacher, sample.teacher_boxes = all_places, boxes
        losses = super().loss(batch_inputs, batch_data_samples)
        if self.loss_distill_levels is not None:
            pairs = zip(self._levels, teacher_levels, strict=True)
            losses['loss_distill_levels'] = [self.loss_distill_levels(*pair) for pair in pairs]
        self._stages = self._levels = ()
        return losses
