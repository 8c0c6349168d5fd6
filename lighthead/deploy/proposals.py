"""The RPN's maps to candidates for proposals: the best anchors of every level, as boxes."""

from collections.abc import Callable, Sequence

import torch
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn

from lighthead.deploy.box_decoding import DeltaDecoder, DistributionDecoder
from lighthead.deploy.inference_settings import InferenceSettings
from lighthead.deploy.model_settings import read_settings

ABSENT = -1.0
"""Score of what is only padding."""
TopK = Callable[[Tensor, int], Tensor]
"""Scores (B, N) and a count to the indices (B, count) of the best, best first."""


class LevelCandidates(nn.Module):
    """The best ``nms_pre`` anchors of one map.

    Args:
        settings: Of the detector.
        base_anchors: (A, 4), around the origin.
        stride: (x, y), from anchor to anchor.
        decoder: Anchors, outputs of the RPN and image sizes to boxes.
    """

    base_anchors: Tensor

    def __init__(
        self,
        settings: InferenceSettings,
        base_anchors: Tensor,
        stride: tuple[int, int],
        decoder: nn.Module,
    ) -> None:
        super().__init__()
        self.settings, self.stride, self.decoder = settings, stride, decoder
        self.register_buffer('base_anchors', base_anchors.detach().clone().float())

    def forward(
        self, logits: Tensor, boxes: Tensor, sizes: Tensor, topk: TopK
    ) -> tuple[Tensor, Tensor]:
        """Boxes (B, nms_pre, 4) and scores (B, nms_pre), best first; ABSENT where there is none.

        Args:
            logits: (B, A, H, W).
            boxes: (B, A * V, H, W): V numbers per anchor, for the decoder.
            sizes: (B, 2): (height, width) of the images.
        """
        s = self.settings
        batch, anchors, height, width = logits.shape
        scores = logits.permute(0, 2, 3, 1).flatten(1).sigmoid()
        values = boxes.shape[1] // anchors
        boxes = boxes.permute(0, 2, 3, 1).reshape(batch, -1, values)
        # Padding lets maps with fewer anchors through, with shapes that never change.
        padding = scores.new_full((batch, s.nms_pre), ABSENT)
        index = topk(torch.cat((scores, padding), dim=1), s.nms_pre)
        real = index < scores.shape[1]
        index = torch.where(real, index, 0)
        priors = self.base_anchors[index % anchors] + self._shifts(height, width)[index // anchors]
        boxes = boxes.gather(1, index.unsqueeze(-1).expand(-1, -1, values))
        boxes = self.decoder(priors, boxes, sizes[:, None])
        sides = boxes[..., 2:] - boxes[..., :2]
        real = real & (sides[..., 0] > s.min_size) & (sides[..., 1] > s.min_size)
        scores = scores.gather(1, index)
        return boxes, torch.where(real & (scores > s.rpn_score_thr), scores, ABSENT)

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
        settings = read_settings(model)
        rpn = model.rpn_head
        strides = rpn.prior_generator.strides
        self.levels = nn.ModuleList(
            LevelCandidates(settings, anchors, stride, box_decoder(rpn, stride[0]))
            for anchors, stride in zip(rpn.prior_generator.base_anchors, strides, strict=True)
        )

    def forward(
        self, logits: Sequence[Tensor], boxes: Sequence[Tensor], sizes: Tensor, topk: TopK
    ) -> tuple[Tensor, Tensor]:
        """The RPN's maps of every level to boxes (B, N, 4) and scores (B, N), best first."""
        levels = [
            level(*maps, sizes, topk)
            for level, *maps in zip(self.levels, logits, boxes, strict=True)
        ]
        if len(levels) == 1:
            return levels[0]
        all_boxes, all_scores = (torch.cat(values, dim=1) for values in zip(*levels, strict=True))
        order = topk(all_scores, all_scores.shape[1])
        return all_boxes.gather(1, order[..., None].expand(-1, -1, 4)), all_scores.gather(1, order)


def box_decoder(rpn: BaseDenseHead, stride: int) -> nn.Module:
    """What decodes the RPN's boxes on the level of this stride."""
    if hasattr(rpn, 'reg_max'):
        return DistributionDecoder(rpn.bbox_coder, rpn.reg_max, stride)
    return DeltaDecoder(rpn.bbox_coder)
