"""MobileNet v2, torchvision's, cut into stages of strides 8, 16 and 32.

Paper: arXiv 1801.04381; widths compared in arXiv 1807.11164, Tables 7 and 8.
mmdet registers a ``MobileNetV2`` of its own, which this one leaves alone.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch.nn as nn
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmdet.registry import MODELS
from torch import Tensor
from torchvision.models.mobilenetv2 import MobileNetV2 as TorchvisionMobileNetV2

from lighthead.errors import UserError
from lighthead.models.backbones.base import StagedBackbone

PARTS = {
    # module here: its slice of torchvision's features; the stem gives 24 channels at stride 4
    'stem': slice(0, 4),
    'stage2': slice(4, 7),
    'stage3': slice(7, 14),
    'stage4': slice(14, 18),
    'conv5': slice(18, 19),
}


class Scale(NamedTuple):
    """torchvision's arguments: width multiplier, and what channels are multiples of."""

    width_mult: float
    round_nearest: int


NOMINAL = {
    # widen factor; multiply-adds counted, then the paper's
    0.15: Scale(0.15, 8),  # 30.6 M, 39 M
    0.6: Scale(0.6, 8),  # 151.0 M, 141 M
    1.0: Scale(1.0, 8),  # 300.8 M, 300 M
    1.4: Scale(1.4, 8),  # 582.2 M, 585 M
}
MATCHED = NOMINAL | {
    0.15: Scale(0.28, 2),  # 39.3 M
    0.6: Scale(0.64, 4),  # 139.3 M
}


@MODELS.register_module()
class StagedMobileNetV2(StagedBackbone):
    """MobileNet v2 at the paper's four widths.

    Rounding channels to multiples of eight takes the two small widths away from
    the paper's complexity: 0.15 counts 30.6 M for 39 M, 0.6 counts 151.0 M for
    141 M (``matched=False``). For ``matched=True`` they are replaced by the
    multiplier (in steps of 0.01) that meets the paper's figure with the
    coarsest rounding that can: 0.28 in twos (39.3 M), 0.64 in fours (139.3 M).
    At 1.0 and 1.4 both are the same network. The last 1x1 convolution has 1280
    channels up to 1.0.

    torchvision's weights of the same width load as they are: ``features.<i>``
    is renamed to the stage that holds it. timm's load too
    (:mod:`lighthead.weights.timm_mobilenet_v2`).

    Args:
        widen_factor: 0.15, 0.6, 1.0 or 1.4: the paper's name of the network.
        matched: Whether 0.15 and 0.6 meet the paper's complexity.
        **kwargs: See :class:`StagedBackbone`; ``out_indices`` count 0 stage2
            (stride 8), 1 stage3 (16), 2 stage4 (32), 3 conv5 (32).
    """

    stem_names = ('stem',)
    stage_names = ('stage2', 'stage3', 'stage4', 'conv5')
    default_activation = 'ReLU6'

    def __init__(self, widen_factor: float = 1.0, matched: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if widen_factor not in NOMINAL:
            raise UserError(
                f"widen_factor={widen_factor} is none of the paper's: choose from {list(NOMINAL)}."
            )
        network = TorchvisionMobileNetV2(
            **(MATCHED if matched else NOMINAL)[widen_factor]._asdict(),
            num_classes=1,
            norm_layer=lambda channels: build_norm_layer(self.layer_cfgs['norm_cfg'], channels)[1],
        )
        replace_activations(network.features, self.layer_cfgs['act_cfg'])
        for name, part in PARTS.items():
            self.add_module(name, network.features[part])
        ends = (network.features[PARTS[name].stop - 1] for name in self.stage_names)
        self.stage_channels = tuple(end.out_channels for end in ends)
        self.register_load_state_dict_pre_hook(rename_torchvision_keys)
        self.freeze()

    def rename_published(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """torchvision's tensors under the names used here."""
        renamed = dict(state_dict)
        rename_torchvision_keys(self, renamed, '')
        return renamed


def replace_activations(network: nn.Module, act_cfg: dict) -> None:
    """Put another activation wherever torchvision has ReLU6."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU6):
                module.add_module(name, build_activation_layer(act_cfg))


def rename_torchvision_keys(module: nn.Module, state_dict: dict, prefix: str, *_: object) -> None:
    """Rename ``features.<i>.`` to ``<stage>.<i>.`` in place (a load-state-dict pre-hook)."""
    for key in [key for key in state_dict if key.startswith(f'{prefix}features.')]:
        rest = key.removeprefix(f'{prefix}features.')
        index = int(rest.split('.')[0])
        name = next(name for name, part in PARTS.items() if part.start <= index < part.stop)
        state_dict[f'{prefix}{name}.{rest}'] = state_dict.pop(key)
