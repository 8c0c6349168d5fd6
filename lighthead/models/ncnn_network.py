"""Runs a convolutional network of ncnn's file format (.param, .bin) in torch, as a teacher.

Only the layers that NanoDet-Plus (Apache-2.0, RangiLyu) is made of.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lighthead.errors import UserError
from lighthead.ncnn_format import Layer

HALF = 0x01306B47
"""Tag in front of weights that are stored as fp16."""


class NcnnNetwork(nn.Module):
    """An ncnn network; its weights are buffers, nothing is trained.

    Args:
        param, weights: The .param and .bin files.

    Raises:
        UserError: a file is missing, or has a layer that is not known here.
    """

    def __init__(self, param: str | Path, weights: str | Path) -> None:
        super().__init__()
        try:
            lines = Path(param).read_text().splitlines()[2:]
            blob = Path(weights).read_bytes()
        except OSError as error:
            raise UserError(f'The teacher network cannot be read: {error}.') from error
        self.layers = [Layer(line) for line in lines]
        unknown = {layer.kind for layer in self.layers} - LAYERS.keys()
        if unknown:
            raise UserError(f'{param} has layers that are not known here: {sorted(unknown)}.')
        position = 0
        for index, layer in enumerate(self.layers):
            if layer.kind.startswith('Convolution'):
                position = self._read_convolution(index, layer, blob, position)

    def _read_convolution(self, index: int, layer: Layer, blob: bytes, start: int) -> int:
        out, kernel = layer.number(0), layer.number(1)
        count = layer.number(6)
        half = int.from_bytes(blob[start : start + 4], 'little') == HALF
        stored = np.frombuffer(blob, '<f2' if half else '<f4', count, start + 4)
        start += 4 + -(-stored.nbytes // 4) * 4
        bias = np.frombuffer(blob, '<f4', out, start)
        weight = torch.tensor(stored.astype(np.float32)).view(out, -1, kernel, kernel)
        self.register_buffer(f'weight{index}', weight, persistent=False)
        self.register_buffer(f'bias{index}', torch.tensor(bias), persistent=False)
        return start + bias.nbytes

    @torch.no_grad()
    def forward(self, given: Mapping[str, Tensor], wanted: Sequence[str]) -> dict[str, Tensor]:
        """Compute maps from others.

        Args:
            given: Maps (B, C, H, W) by name, such as the images' under the input's name.
            wanted: Names of maps; only the layers between the two run.

        Returns:
            The wanted maps by name.
        """
        maps = dict(given)
        for index in self._between(maps.keys(), wanted):
            layer = self.layers[index]
            inputs = [maps[name] for name in layer.inputs]
            outputs = LAYERS[layer.kind](self, index, layer, *inputs)
            maps.update(zip(layer.outputs, outputs, strict=True))
        return {name: maps[name] for name in wanted}

    def _between(self, given: Collection[str], wanted: Sequence[str]) -> list[int]:
        """Indices of the layers that lead from ``given`` to ``wanted``."""
        missing, needed = set(wanted) - set(given), []
        for index in reversed(range(len(self.layers))):
            layer = self.layers[index]
            if missing.intersection(layer.outputs):
                needed.append(index)
                missing = missing.difference(layer.outputs) | set(layer.inputs) - set(given)
        return needed[::-1]


def _convolution(network: NcnnNetwork, index: int, layer: Layer, x: Tensor) -> list[Tensor]:
    weight, bias = getattr(network, f'weight{index}'), getattr(network, f'bias{index}')
    x = F.conv2d(x, weight, bias, layer.number(3, 1), layer.number(4), groups=layer.number(7, 1))
    if layer.number(9) == 2:
        x = F.leaky_relu_(x, layer.array(10)[0])
    return [x]


def _slice(network: NcnnNetwork, index: int, layer: Layer, x: Tensor) -> list[Tensor]:
    sizes = [int(size) for size in layer.array(0)]
    rest = x.shape[1] - sum(size for size in sizes if size > 0)
    share = rest // max(1, sum(size < 0 for size in sizes))
    return list(x.split([size if size > 0 else share for size in sizes], dim=1))


def _resize(network: NcnnNetwork, index: int, layer: Layer, x: Tensor) -> list[Tensor]:
    factors = [layer.real(key) for key in (1, 2)]
    return [F.interpolate(x, scale_factor=factors, mode='bilinear', align_corners=False)]


LAYERS: dict[str, Callable[..., list[Tensor]]] = {
    'Input': lambda network, index, layer: [],
    'Convolution': _convolution,
    'ConvolutionDepthWise': _convolution,
    'Pooling': lambda network, index, layer, x: [F.max_pool2d(x, 3, 2, 1)],
    'Split': lambda network, index, layer, x: [x] * len(layer.outputs),
    'Concat': lambda network, index, layer, *x: [torch.cat(x, 1)],
    'ShuffleChannel': lambda network, index, layer, x: [torch.channel_shuffle(x, layer.number(0))],
    'Slice': _slice,
    'BinaryOp': lambda network, index, layer, a, b: [a + b],
    'Interp': _resize,
    'Sigmoid': lambda network, index, layer, x: [x.sigmoid()],
    'Permute': lambda network, index, layer, x: [x],
}
