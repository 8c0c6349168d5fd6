"""The RPN's maps to candidates for proposals: the best anchors of every level, as boxes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn

from lighthead.deploy.box_decoding import DeltaDecoder, DistributionDecoder
from lighthead.deploy.model_settings import read_settings

ABSENT = -1.0
"""Score of what is only padding."""
TopK = Callable[[Tensor, int], Tensor]
"""Scores (B, N) and a count to the indices (B, count) of the best, best first."""


class Chosen(NamedTuple):
    """The best anchors of one map or of all: ``anchors`` (B, N, 4), ``values`` (B, N, V) of the
    RPN for each, ``scores`` (B, N), ABSENT for what is only padding."""

    anchors: Tensor
    values: Tensor
    scores: Tensor


class LevelCandidates(nn.Module):
    """The best ``nms_pre`` anchors of one map.

    Args:
        nms_pre: How many.
        base_anchors: (A, 4), around the origin.
        stride: (x, y), from anchor to anchor.
    """

    base_anchors: Tensor

    def __init__(self, nms_pre: int, base_anchors: Tensor, stride: tuple[int, int]) -> None:
        super().__init__()
        self.nms_pre, self.stride = nms_pre, stride
        self.register_buffer('base_anchors', base_anchors.detach().clone().float())

    def forward(self, logits: Tensor, boxes: Tensor, topk: TopK) -> Chosen:
        """The map's N = ``nms_pre`` best anchors, best first.

        Args:
            logits: (B, A, H, W).
            boxes: (B, A * V, H, W): V numbers per anchor, for a decoder.
        """
        batch, anchors, height, width = logits.shape
        scores = logits.permute(0, 2, 3, 1).flatten(1).sigmoid()
        values = boxes.shape[1] // anchors
        boxes = boxes.permute(0, 2, 3, 1).reshape(batch, -1, values)
        # Padding lets maps with fewer anchors through, with shapes that never change.
        padding = scores.new_full((batch, self.nms_pre), ABSENT)
        scores = torch.cat((scores, padding), dim=1)
        index = topk(scores, self.nms_pre)
        scores = scores.gather(1, index)
        index = index.clamp(max=height * width * anchors - 1)
        priors = self.base_anchors[index % anchors] + self._shifts(height, width)[index // anchors]
        return Chosen(priors, boxes.gather(1, index.unsqueeze(-1).expand(-1, -1, values)), scores)

    def _shifts(self, height: int, width: int) -> Tensor:
        """Where the anchors' origins lie: (height * width, 4) as x, y, x, y in pixels."""
        device = self.base_anchors.device
        x = torch.arange(width, device=device) * self.stride[0]
        y = torch.arange(height, device=device) * self.stride[1]
        grid = torch.stack((x[None].expand(height, width), y[:, None].expand(height, width)), -1)
        grid = grid.reshape(-1, 2).to(self.base_anchors.dtype)
        return torch.cat((grid, grid), dim=-1)


class Candidates(nn.Module):
    """The best anchors of all maps, together.

    Args:
        model: A detector.
    """

    def __init__(self, model: BaseDetector) -> None:
        super().__init__()
        self.settings = read_settings(model)
        rpn = model.rpn_head
        strides = rpn.prior_generator.strides
        self.levels = nn.ModuleList(
            LevelCandidates(self.settings.nms_pre, anchors, stride)
            for anchors, stride in zip(rpn.prior_generator.base_anchors, strides, strict=True)
        )
        widths = torch.tensor([float(stride[0]) for stride in strides])
        self.decoder = box_decoder(rpn, widths.repeat_interleave(self.settings.nms_pre))

    def forward(
        self, logits: Sequence[Tensor], boxes: Sequence[Tensor], sizes: Tensor, topk: TopK
    ) -> tuple[Tensor, Tensor]:
        """The RPN's maps of every level to boxes (B, N, 4) and scores (B, N), best first, ABSENT
        where there is none; ``sizes`` (B, 2) are (height, width) of the images."""
        s = self.settings
        levels = [
            level(*maps, topk) for level, *maps in zip(self.levels, logits, boxes, strict=True)
        ]
        # Levels are decoded together: each operator has a cost of its own.
        anchors, values, scores = (torch.cat(parts, dim=1) for parts in zip(*levels, strict=True))
        decoded = self.decoder(anchors, values, sizes[:, None])
        sides = decoded[..., 2:] - decoded[..., :2]
        real = (sides[..., 0] > s.min_size) & (sides[..., 1] > s.min_size)
        # Padding has a score below the threshold, which is -1 at least.
        scores = torch.where(real & (scores > s.rpn_score_thr), scores, ABSENT)
        if len(levels) == 1:
            return decoded, scores
        order = topk(scores, scores.shape[1])
        return decoded.gather(1, order[..., None].expand(-1, -1, 4)), scores.gather(1, order)


def box_decoder(rpn: BaseDenseHead, strides: Tensor) -> nn.Module:
    """What decodes the RPN's boxes; ``strides`` (N,) are those of the anchors' levels."""
    if hasattr(rpn, 'reg_max'):
        return DistributionDecoder(rpn.bbox_coder, rpn.reg_max, strides)
    return DeltaDecoder(rpn.bbox_coder)
