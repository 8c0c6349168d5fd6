"""A trained one-stage detector as a teacher: its dense scores and boxes as soft targets.

For the RPN, localisation distillation (arXiv 2102.12252) on places that student and teacher share:
both have one anchor per place at strides 8 to 64 and boxes as distributions over 8 distances. For
the R-CNN, the teacher's likeliest boxes with their scores of all classes.
"""

from collections.abc import Sequence

import torch
from mmdet.registry import HOOKS
from mmdet.structures.bbox import distance2bbox
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import Tensor, nn

from lighthead.errors import UserError
from lighthead.models.ncnn_network import NcnnNetwork

LIKELIEST = 100
"""How many of the teacher's boxes of an image the R-CNN learns from."""


class NanoDetTeacher(nn.Module):
    """NanoDet-Plus as a teacher.

    Args:
        param, weights: Files of :class:`NcnnNetwork`.
        classes: Indices of its 80 classes that count, None for all; of them, the best score counts.
        shared_backbone: Whether the student has the teacher's backbone, frozen, so that the
            teacher need not run its own.
    """

    strides = (8, 16, 32, 64)
    levels = ('165', '185', '205', '211')
    """Names of its pyramid's maps, 96 channels each, in nanodet-plus-m_416.param."""
    stages = ('33', '92', '122')
    """Names of its backbone's maps."""

    def __init__(
        self,
        param: str,
        weights: str,
        classes: Sequence[int] | None = None,
        shared_backbone: bool = False,
    ) -> None:
        super().__init__()
        self.network = NcnnNetwork(param, weights)
        self.classes = classes
        self.shared_backbone = shared_backbone

    @torch.no_grad()
    def forward(
        self, images: Tensor, stages: Sequence[Tensor]
    ) -> tuple[list[InstanceData], list[InstanceData], list[Tensor]]:
        """Soft targets of images.

        Args:
            images: (B, 3, H, W), normalised.
            stages: C3, C4, C5 of the student, used with ``shared_backbone``.

        Returns:
            Of each image ``scores`` (P, 1) and ``boxes`` (P, 32) of all places; ``bboxes`` (K, 4)
            in pixels and ``scores`` (K, classes) of the likeliest; the levels of the pyramid.
        """
        given = {'data': images.contiguous(memory_format=torch.channels_last)}
        if self.shared_backbone:
            given = dict(zip(self.stages, stages, strict=True))
        heads = [f'{kind}{stride}' for kind in ('cls', 'dis') for stride in self.strides]
        maps = self.network(given, [*heads, *self.levels])
        scores = torch.cat([_flat(maps[f'cls{stride}']) for stride in self.strides], 1).float()
        boxes = torch.cat([_flat(maps[f'dis{stride}']) for stride in self.strides], 1).float()
        if self.classes is not None:
            scores = scores[..., list(self.classes)]
        places = torch.cat([_places(maps[f'cls{stride}'], stride) for stride in self.strides])
        targets, likeliest = [], []
        for own, distances in zip(scores, boxes, strict=True):
            best = own.amax(-1)
            targets.append(InstanceData(scores=best[:, None], boxes=distances))
            top = best.topk(min(LIKELIEST, len(best))).indices
            decoded = _decode(places[top], distances[top])
            likeliest.append(InstanceData(bboxes=decoded, scores=own[top]))
        return targets, likeliest, [maps[name] for name in self.levels]

    @torch.no_grad()
    def check_backbone(self, backbone: nn.Module) -> None:
        """Raise a UserError where a backbone does not compute what the teacher's does."""
        weight = next(backbone.parameters())
        image = torch.linspace(-2, 2, 3 * 64 * 64, device=weight.device).view(1, 3, 64, 64)
        own = backbone(image.sin())[-1]
        trainable = any(parameter.requires_grad for parameter in backbone.parameters())
        taught = self.network({'data': image.sin()}, [self.stages[-1]])[self.stages[-1]]
        if trainable or not torch.allclose(own, taught, rtol=0.05, atol=0.05):
            raise UserError(
                "shared_backbone: the model's backbone is not the frozen backbone of the teacher: "
                'load its weights with frozen_stages=3, or set shared_backbone=False.'
            )


def _flat(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _places(x: Tensor, stride: int) -> Tensor:
    """(x, y, stride) of each place of a level (B, C, H, W), in the order of :func:`_flat`."""
    rows, columns = (torch.arange(n, device=x.device) * stride for n in x.shape[-2:])
    y, x = torch.meshgrid(rows, columns, indexing='ij')
    return torch.stack([x, y, torch.full_like(x, stride)], -1).flatten(0, 1).float()


def _decode(places: Tensor, distances: Tensor) -> Tensor:
    """Places (K, 3) and distributions of four distances (K, 32), in strides, to boxes (K, 4)."""
    steps = torch.arange(8.0, device=places.device)
    lengths = distances.view(-1, 4, 8).softmax(-1) @ steps
    return distance2bbox(places[:, :2], lengths * places[:, 2:])


@HOOKS.register_module()
class TeacherHook(Hook):
    """Gives the model a :class:`NanoDetTeacher` for the training; checkpoints do not contain it.

    Args: as NanoDetTeacher's; without ``param`` and ``weights`` there is no teacher.

    Raises:
        UserError: one of the two files is missing.
    """

    def __init__(
        self,
        param: str | None = None,
        weights: str | None = None,
        classes: Sequence[int] | None = None,
        shared_backbone: bool = False,
    ) -> None:
        if (param is None) != (weights is None):
            raise UserError('TeacherHook needs both files of the teacher, param and weights.')
        self.teacher: NanoDetTeacher | None = None
        if param is not None and weights is not None:
            self.teacher = NanoDetTeacher(param, weights, classes, shared_backbone)

    def before_train(self, runner: Runner) -> None:
        """Put it on the model's device.

        Raises:
            UserError: the backbone is to be shared, and it is not the teacher's.
        """
        if self.teacher is not None:
            model = runner.bare_model
            self.teacher.to(next(model.parameters()).device).eval()
            if self.teacher.shared_backbone:
                self.teacher.check_backbone(model.backbone)
            model.teachers = [self.teacher]
