"""A backbone as an image classifier: what ImageNet pretraining trains and what Table 8 times.

torchvision's networks end in the same two layers, so their complete state
dicts load into it (arXiv 1807.11164, Table 5: global pool, fc 1000).
"""

import torch.nn as nn
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from lighthead.models.backbones.base import StagedBackbone

FOREIGN_FC = 'classifier.1.'
"""Prefix of the last layer in torchvision's MobileNetV2."""


@MODELS.register_module()
class ImageClassifier(BaseModule):
    """Backbone, global average pool, dropout, ``fc``.

    ``load_state_dict`` also takes files without the prefix ``backbone.``, which
    is how torchvision writes its classifiers.

    Args:
        backbone: A :class:`StagedBackbone` (its last returned map is classified),
            or its config; with a config, the last stage is returned whatever
            ``out_indices`` it has.
        num_classes: Logits.
        dropout: Probability with which a pooled channel is dropped in training.
        init_cfg: See mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        backbone: StagedBackbone | dict,
        num_classes: int = 1000,
        dropout: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if isinstance(backbone, dict):
            last = len(MODELS.get(backbone['type']).stage_names) - 1
            self.backbone: StagedBackbone = MODELS.build(dict(backbone, out_indices=(last,)))
        else:
            self.backbone = backbone
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.backbone.out_channels[-1], num_classes)
        self.register_load_state_dict_pre_hook(add_backbone_prefix)

    def forward(self, inputs: Tensor) -> Tensor:
        """Images (B, 3, H, W) to logits (B, num_classes)."""
        features = self.pool(self.backbone(inputs)[-1]).flatten(1)
        return self.fc(self.dropout(features))


def add_backbone_prefix(module: nn.Module, state_dict: dict, prefix: str, *_: object) -> None:
    """Rename a bare classifier's tensors in place (a load-state-dict pre-hook)."""
    for key in [key for key in state_dict if key.startswith(prefix)]:
        name = key.removeprefix(prefix)
        if name.startswith(FOREIGN_FC):
            state_dict[f'{prefix}fc.{name.removeprefix(FOREIGN_FC)}'] = state_dict.pop(key)
        elif not name.startswith(('backbone.', 'fc.')):
            state_dict[f'{prefix}backbone.{name}'] = state_dict.pop(key)
