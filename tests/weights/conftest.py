"""What the tests of pretrained weights share: realistic statistics, the authors' network."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn as nn
from mmdet.registry import MODELS
from torch import Tensor

import lighthead  # noqa: F401  (registers the backbones)
from lighthead.models.backbones.shufflenet_v2 import BLOCKS, WIDTHS


@torch.no_grad()
def randomise(network: nn.Module) -> nn.Module:
    """Weights that keep activations alive, and norm statistics as training leaves them."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.2, 3)
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.3)
            module.num_batches_tracked.fill_(1000)
    return network.eval()


def layers(*parts: tuple[int, int, int, int, bool]) -> nn.Sequential:
    """Convolutions (inputs, outputs, kernel, stride, activation) with norms."""
    modules = []
    for inputs, outputs, kernel, stride, activation in parts:
        groups = inputs if kernel == 3 and inputs == outputs else 1
        conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )  # fmt: skip
        modules += [conv, nn.BatchNorm2d(outputs)] + [nn.ReLU()] * activation
    return nn.Sequential(*modules)


class ReferenceUnit(nn.Module):
    """A unit in the authors' wiring: odd channels are transformed, no shuffle afterwards."""

    def __init__(self, inputs: int, outputs: int, stride: int, kept: int) -> None:
        super().__init__()
        mid = outputs // 2
        self.branch_main = layers(
            (inputs, mid, 1, 1, True),
            (mid, mid, 3, stride, False),
            (mid, outputs - kept, 1, 1, True),
        )
        if stride == 2:
            self.branch_proj = layers((inputs, inputs, 3, 2, False), (inputs, kept, 1, 1, True))

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, 'branch_proj'):
            return torch.cat((self.branch_proj(x), self.branch_main(x)), 1)
        return torch.cat((x[:, 0::2], self.branch_main(x[:, 1::2])), 1)


class ReferenceNetwork(nn.Module):
    """The authors' ShuffleNetV2, with their names.

    ``equal`` gives both branches of a unit of stride 2 half of the outputs (as
    ports of it do); otherwise the first keeps as many as its inputs (as they do).
    """

    def __init__(self, width: float, equal: bool) -> None:
        super().__init__()
        stem, stages, last = WIDTHS[width]
        self.first_conv = layers((3, stem, 3, 2, True))
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        units, entry = [], stem
        for channels, count in zip(stages, BLOCKS):
            units.append(ReferenceUnit(entry, channels, 2, channels // 2 if equal else entry))
            half = channels // 2
            units += [ReferenceUnit(half, channels, 1, half) for _ in range(count - 1)]
            entry = channels
        self.features = nn.Sequential(*units)
        self.conv_last = layers((entry, last, 1, 1, True))
        self.classifier = nn.Sequential(nn.Linear(last, 10, bias=False))

    def forward(self, x: Tensor) -> list[Tensor]:
        """stage2, stage3, stage4 and conv5 (their names: features, conv_last)."""
        x = self.maxpool(self.first_conv(x))
        outputs, ends = [], {sum(BLOCKS[: i + 1]) - 1 for i in range(3)}
        for index, unit in enumerate(self.features):
            x = unit(x)
            outputs += [x] if index in ends else []
        return [*outputs, self.conv_last(x)]


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., str]:
    """``save(content, name)`` writes a file of weights and returns its path."""

    def write(content: object, name: str = 'weights.pth') -> str:
        torch.save(content, tmp_path / name)
        return str(tmp_path / name)

    return write


@pytest.fixture
def realistic() -> Callable[[nn.Module], nn.Module]:
    """``realistic(network)`` randomises weights and statistics, and sets eval mode."""
    return randomise


@pytest.fixture
def authors_network() -> Callable[..., ReferenceNetwork]:
    """``authors_network(width, equal)`` builds the reference, with realistic statistics."""
    return lambda width, equal=False: randomise(ReferenceNetwork(width, equal))


@pytest.fixture
def build() -> Callable[..., nn.Module]:
    """``build(checkpoint, **backbone_args)`` builds ShuffleNetV2 and initialises it."""

    def build_backbone(checkpoint: str | None = None, **args) -> nn.Module:
        init_cfg = dict(type='Pretrained', checkpoint=checkpoint) if checkpoint else None
        args = dict(type='ShuffleNetV2', out_indices=(0, 1, 2, 3), init_cfg=init_cfg) | args
        backbone = MODELS.build(args)
        if checkpoint:
            backbone.init_weights()
        return backbone

    return build_backbone
