"""The detector's stages as plain tensor code, shared by eager inference and export."""

from copy import deepcopy

import torch
from mmdet.models.detectors import BaseDetector
from torch import Tensor, nn

from lighthead.deploy.dense import DenseNetwork
from lighthead.deploy.test_settings import BoxDecoder, Settings

ABSENT = -1.0
"""Score of what is only padding."""


class LightHeadStages(nn.Module):
    """What a Light-Head R-CNN computes, without mmdet around it.

    Args:
        model: A detector; it is copied.

    Raises:
        UserError: it is no Light-Head R-CNN, or does something that is not known here.
    """

    def __init__(self, model: BaseDetector) -> None:
        super().__init__()
        self.settings = Settings.from_model(model)
        self.dense = DenseNetwork(model)
        base = model.rpn_head.prior_generator.base_anchors[0].detach().clone().float()
        self.register_buffer('base_anchors', base)
        self.proposal_decoder = BoxDecoder(model.rpn_head.bbox_coder)
        self.box_decoder = BoxDecoder(model.roi_head.bbox_head.bbox_coder)
        self.head = folded_head(model.roi_head.bbox_head, self.dense.channels)

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """What :class:`DenseNetwork` returns, in float32 whatever it computes in."""
        return tuple(values.float() for values in self.dense(images.to(self.head.dtype)))

    def best(self, scores: Tensor, count: int) -> Tensor:
        """See :func:`best`."""
        return best(scores, count)

    def candidates(self, logits: Tensor, deltas: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """The best anchors' boxes (B, nms_pre, 4) and scores (B, nms_pre), best first."""
        s = self.settings
        batch, anchors, height, width = logits.shape
        scores = logits.permute(0, 2, 3, 1).flatten(1).sigmoid()
        deltas = deltas.permute(0, 2, 3, 1).reshape(batch, -1, 4)
        # Padding lets images with fewer anchors through, with shapes that never change.
        padding = scores.new_full((batch, s.nms_pre), ABSENT)
        index = self.best(torch.cat((scores, padding), dim=1), s.nms_pre)
        real = index < scores.shape[1]
        index = torch.where(real, index, 0)
        shift = self._shifts(height, width)[index // anchors]
        priors = self.base_anchors[index % anchors] + shift
        deltas = deltas.gather(1, index.unsqueeze(-1).expand(-1, -1, 4))
        boxes = self.proposal_decoder(priors, deltas, sizes[:, None])
        sides = boxes[..., 2:] - boxes[..., :2]
        real = real & (sides[..., 0] > s.min_size) & (sides[..., 1] > s.min_size)
        return boxes, torch.where(real, scores.gather(1, index), ABSENT)

    def _shifts(self, height: int, width: int) -> Tensor:
        """Where the anchors' origins lie: (height * width, 4) as x, y, x, y in pixels."""
        device = self.base_anchors.device
        x = torch.arange(width, device=device) * self.settings.anchor_stride[0]
        y = torch.arange(height, device=device) * self.settings.anchor_stride[1]
        grid = torch.stack((x[None].expand(height, width), y[:, None].expand(height, width)), -1)
        grid = grid.reshape(-1, 2).to(self.base_anchors.dtype)
        return torch.cat((grid, grid), dim=-1)


class RCNNHead(nn.Module):
    """The fc of 2048 and its two siblings: pooled (K, bins * channels) to logits and deltas."""

    def __init__(self, shared: nn.Linear, classify: nn.Linear, regress: nn.Linear) -> None:
        super().__init__()
        self.shared, self.classify, self.regress = shared, classify, regress

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.shared(pooled.to(self.dtype)).relu_()
        return self.classify(hidden).float(), self.regress(hidden).float()

    @property
    def dtype(self) -> torch.dtype:
        """In which it computes; its answers are float32."""
        return self.shared.weight.dtype


def folded_head(bbox_head: nn.Module, channels: int) -> RCNNHead:
    """Its first layer reads (bin, channel) instead of (channel, bin)."""
    bbox_head = deepcopy(bbox_head).requires_grad_(False)
    (shared,) = bbox_head.shared_fcs
    weight = shared.weight.view(shared.out_features, channels, -1).transpose(1, 2)
    shared.weight = nn.Parameter(weight.reshape(shared.out_features, -1), requires_grad=False)
    return RCNNHead(shared, bbox_head.fc_cls, bbox_head.fc_reg)


def best(scores: Tensor, count: int) -> Tensor:
    """Indices (B, count) of the ``count`` best of ``scores`` (B, N >= count).

    By (score descending, index ascending), which ``torch.topk`` does not promise: so the bits
    of the score, which order like the scores, and the index together make an integer key.
    """
    bits = scores.contiguous().view(torch.int32).long()
    bits = torch.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    falling = torch.arange(scores.shape[1] - 1, -1, -1, device=scores.device)
    return torch.topk((bits << 32) + falling, count, dim=1).indices
