"""How a detector's MACs divide over its parts (arXiv 1711.07264, section 3).

Counted on meta tensors: backbone, neck (the separable convolution), RPN, and the R-CNN head
for as many RoIs as the test settings let through, which a random network's suppression would
not reach.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn as nn
from mmdet.models.detectors import BaseDetector
from mmdet.models.roi_heads.bbox_heads import BBoxHead

from lighthead.errors import UserError
from lighthead.speed.harness.complexity import record_operations


class Share(NamedTuple):
    """What one part of a detector costs for one image."""

    part: str
    macs: int
    parameters: int


def detector_shares(model: BaseDetector, height: int, width: int) -> list[Share]:
    """MACs and parameters of each part for an image of this size; the model goes to ``meta``.

    Args:
        model: One of mmdet's detectors with a backbone, and what it has of neck, RPN head,
            RoI head with one box head, or dense head.
        height: Of the image, unpadded or padded as it is.
        width: Of the image.

    Raises:
        UserError: if the RoI head is of a kind that cannot be counted.
    """
    model = model.eval().to('meta')
    shares = []

    def part(name: str, module: nn.Module, call: Callable[[], Any]) -> Any:
        outputs = []
        operations = record_operations(lambda: outputs.append(call()))
        parameters = sum(parameter.numel() for parameter in module.parameters())
        shares.append(Share(name, sum(op.macs for op in operations), parameters))
        return outputs[0]

    image = torch.empty(1, 3, height, width, device='meta')
    maps = part('backbone', model.backbone, lambda: model.backbone(image))
    if getattr(model, 'neck', None) is not None:
        name = 'separable conv' if hasattr(model.neck, 'tall_wide') else 'neck'
        maps = part(name, model.neck, lambda: model.neck(maps))
    if getattr(model, 'rpn_head', None) is not None:
        part('RPN', model.rpn_head, lambda: model.rpn_head(maps))
    if getattr(model, 'roi_head', None) is not None:
        head = _box_head(model)
        shape = (model.test_cfg.rpn.max_per_img, head.in_channels, *head.roi_feat_size)
        part('R-CNN head', head, lambda: head(torch.empty(shape, device='meta')))
    if getattr(model, 'bbox_head', None) is not None:
        part('head', model.bbox_head, lambda: model.bbox_head(maps))
    return shares


def _box_head(model: BaseDetector) -> BBoxHead:
    head = getattr(model.roi_head, 'bbox_head', None)
    if head is None or isinstance(head, nn.ModuleList) or not hasattr(head, 'in_channels'):
        raise UserError(
            f'{type(model.roi_head).__name__} has no single box head: its MACs cannot be counted.'
        )
    return head
