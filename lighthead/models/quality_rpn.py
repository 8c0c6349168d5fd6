"""An RPN whose objectness predicts the IoU of its boxes, over a pyramid.

Generalised focal loss (arXiv 2006.04388) without classes: one anchor per place, assigned by ATSS
(arXiv 1912.02424), boxes as distributions of their four distances. What is light about it: one
tower of depthwise 5x5 convolutions per level, which both outputs share.
"""

from itertools import pairwise
from typing import Any

import torch
from mmdet.models.dense_heads import GFLHead
from mmdet.models.utils import multi_apply
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import reduce_mean
from mmengine.model import bias_init_with_prob, normal_init
from torch import Tensor, nn

from lighthead.models.context_pan import separable
from lighthead.models.proposal_record import ProposalRecord

LEAST_TEACHER_SCORE = 0.02
"""Where a teacher's score is lower, its box teaches nothing: no object, and most of the places."""


@MODELS.register_module()
class QualityRPN(ProposalRecord, GFLHead):
    """mmdet's GFL head with separable towers, on the first maps (the thin map comes last).

    With ``num_classes`` above 1 it is the head of a one-stage detector.

    Args:
        loss_distill_cls: Loss of the objectness against a teacher's scores, or None.
        loss_distill_box: Loss of the box distributions against a teacher's, or None.
        kwargs: As GFLHead's; ``act_cfg`` of the towers.
    """

    def __init__(
        self,
        *args: Any,
        act_cfg: dict | None = None,
        loss_distill_cls: dict | None = None,
        loss_distill_box: dict | None = None,
        **kwargs: Any,
    ) -> None:
        self.act_cfg = act_cfg or dict(type='LeakyReLU', negative_slope=0.1)
        kwargs.setdefault('init_cfg', dict(type='Normal', layer='Conv2d', std=0.01))
        super().__init__(*args, **kwargs)
        self.loss_distill_cls = MODELS.build(loss_distill_cls) if loss_distill_cls else None
        self.loss_distill_box = MODELS.build(loss_distill_box) if loss_distill_box else None

    def _init_layers(self) -> None:
        layer_cfg = dict(norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        widths = [self.in_channels] + [self.feat_channels] * self.stacked_convs
        levels = range(len(self.prior_generator.strides))
        self.towers = nn.ModuleList(
            nn.Sequential(*(separable(a, b, **layer_cfg) for a, b in pairwise(widths)))
            for _ in levels
        )
        self.scores = nn.ModuleList(nn.Conv2d(widths[-1], self.cls_out_channels, 1) for _ in levels)
        self.boxes = nn.ModuleList(nn.Conv2d(widths[-1], 4 * (self.reg_max + 1), 1) for _ in levels)

    def init_weights(self) -> None:
        """As GFL's; each score starts near 0.01."""
        super().init_weights()
        for scores, boxes in zip(self.scores, self.boxes, strict=True):
            normal_init(scores, std=0.01, bias=bias_init_with_prob(0.01))
            normal_init(boxes, std=0.01)

    def forward(self, x: tuple[Tensor, ...]) -> tuple[list[Tensor], list[Tensor]]:
        """Levels and the thin map to scores (B, 1, H, W) and box distributions of each level."""
        return multi_apply(
            self.forward_single, x[: len(self.towers)], self.towers, self.scores, self.boxes
        )

    def forward_single(
        self, x: Tensor, tower: nn.Module, scores: nn.Module, boxes: nn.Module
    ) -> tuple[Tensor, Tensor]:
        """One level (B, C, H, W) to its outputs, in float32."""
        x = tower(x)
        return scores(x).float(), boxes(x).float()

    def loss_and_predict(
        self,
        x: tuple[Tensor, ...],
        batch_data_samples: SampleList,
        proposal_cfg: dict | None = None,
    ) -> tuple[dict, list]:
        """mmdet's, and the losses against a teacher where the samples carry one's outputs."""
        scores, boxes = self(x)
        instances = [sample.gt_instances for sample in batch_data_samples]
        ignored = [sample.get('ignored_instances') for sample in batch_data_samples]
        metas = [sample.metainfo for sample in batch_data_samples]
        losses = self.loss_by_feat(scores, boxes, instances, metas, ignored)
        if 'teacher' in batch_data_samples[0]:
            teachers = [sample.teacher for sample in batch_data_samples]
            losses |= self.loss_distill(scores, boxes, teachers)
        predictions = self.predict_by_feat(scores, boxes, batch_img_metas=metas, cfg=proposal_cfg)
        return losses, predictions

    def loss_distill(
        self, cls_scores: list[Tensor], bbox_preds: list[Tensor], teachers: list
    ) -> dict[str, Tensor]:
        """The losses that are set, against a teacher whose levels have the same places.

        Args:
            cls_scores, bbox_preds: Outputs of :meth:`forward`.
            teachers: Of each image, ``scores`` (P, 1) in 0..1 and ``boxes`` (P, 4 * (reg_max + 1)),
                logits, over the P places of all levels.
        """
        scores = flat_over_levels(cls_scores, 1)
        boxes = flat_over_levels(bbox_preds, self.reg_max + 1)
        target = torch.cat([teacher.scores for teacher in teachers]).view_as(scores)
        target_boxes = torch.cat([teacher.boxes for teacher in teachers]).view_as(boxes)
        total = reduce_mean(target.sum()).clamp(min=1)
        sides = target.expand(-1, 4).reshape(-1)
        likely = (sides > LEAST_TEACHER_SCORE).nonzero().squeeze(1)
        losses = {}
        if self.loss_distill_cls is not None:
            losses['loss_distill_cls'] = self.loss_distill_cls(scores, target, avg_factor=total)
        if self.loss_distill_box is not None:
            losses['loss_distill_box'] = self.loss_distill_box(
                boxes[likely], target_boxes[likely], weight=sides[likely], avg_factor=4 * total
            )
        return losses


def flat_over_levels(maps: list[Tensor], channels: int) -> Tensor:
    """Maps (B, n * channels, H, W) of all levels to (B * places * n, channels)."""
    flat = [x.permute(0, 2, 3, 1).flatten(1, 2) for x in maps]
    return torch.cat(flat, dim=1).reshape(-1, channels)
