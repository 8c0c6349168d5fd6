"""A trained one-stage detector as a teacher of the RPN: its dense scores and boxes as soft targets.

Localisation distillation (arXiv 2102.12252) on places that student and teacher share: both have
one anchor per place at strides 8 to 64 and boxes as distributions over 8 distances.
"""

from collections.abc import Sequence

import torch
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import Tensor, nn

from lighthead.models.ncnn_network import NcnnNetwork


class NanoDetTeacher(nn.Module):
    """NanoDet-Plus as a teacher.

    Args:
        param, weights: Files of :class:`NcnnNetwork`.
        classes: Indices of its 80 classes that count, None for all; of them, the best score counts.
    """

    strides = (8, 16, 32, 64)

    def __init__(self, param: str, weights: str, classes: Sequence[int] | None = None) -> None:
        super().__init__()
        self.network = NcnnNetwork(param, weights)
        self.classes = classes

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[InstanceData]:
        """Images (B, 3, H, W), normalised, to ``scores`` (P, 1) and ``boxes`` (P, 32) of each."""
        maps = self.network(images.contiguous(memory_format=torch.channels_last))
        scores = torch.cat([_flat(maps[f'cls{stride}']) for stride in self.strides], 1).float()
        boxes = torch.cat([_flat(maps[f'dis{stride}']) for stride in self.strides], 1).float()
        if self.classes is not None:
            scores = scores[..., list(self.classes)]
        scores = scores.amax(-1, keepdim=True)
        return [InstanceData(scores=s, boxes=b) for s, b in zip(scores, boxes, strict=True)]


def _flat(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).flatten(1, 2)


@HOOKS.register_module()
class TeacherHook(Hook):
    """Gives the model a :class:`NanoDetTeacher` for the training; checkpoints do not contain it.

    Args: as NanoDetTeacher's; without ``param`` there is no teacher.
    """

    def __init__(
        self,
        param: str | None = None,
        weights: str | None = None,
        classes: Sequence[int] | None = None,
    ) -> None:
        self.teacher = param and NanoDetTeacher(param, weights, classes)

    def before_train(self, runner: Runner) -> None:
        """Put it on the model's device."""
        if self.teacher:
            device = next(runner.bare_model.parameters()).device
            runner.bare_model.teachers = [self.teacher.to(device).eval()]
