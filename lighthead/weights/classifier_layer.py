"""The last layer of pretrained classifiers: ImageNet's 1000 classes, or those of one's own data."""

from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from lighthead.errors import UserError
from lighthead.weights import fetch
from lighthead.weights.files import read_weight_file

LAST_LAYERS = ('fc', 'classifier.1', 'classifier.0', 'classifier')
"""Its name here and in torchvision's ShuffleNetV2, in torchvision's MobileNet v2, in Megvii's
networks, in timm's MobileNet v2."""


@torch.no_grad()
def load_last_layer(fc: nn.Linear, checkpoint: str, required: bool = False) -> bool:
    """Load the classifier's last layer from ``torchvision://<model>``, an address or a file.

    A missing bias counts as zero. Where there is no layer of this shape, ``fc``
    keeps its values.

    Args:
        required: Whether that is an error.

    Returns:
        Whether it was loaded.

    Raises:
        UserError: if it was ``required`` and is not there.
    """
    tensors = _read(fetch.locate(checkpoint))
    weight: Tensor | None = tensors.get('weight')
    if weight is None or weight.shape != fc.weight.shape:
        has = 'no classifier' if weight is None else f'a classifier of {_shape(weight)}'
        mismatch = f'{checkpoint} has {has}, {_shape(fc.weight)} is needed'
        if required:
            raise UserError(f'{mismatch}: give a checkpoint for the same backbone and classes.')
        print_log(f'{mismatch}: fc starts at random.', 'current')
        return False
    fc.weight.copy_(weight)
    bias = tensors.get('bias')
    fc.bias.copy_(torch.zeros_like(fc.bias) if bias is None else bias)
    return True


def _read(path: Path) -> dict[str, Tensor]:
    """``weight`` and ``bias`` of a file that the backbone was loaded from, where it has them."""
    tensors = read_weight_file(path).tensors
    bare = {name.removeprefix('module.'): tensor for name, tensor in tensors.items()}
    layer = next((layer for layer in LAST_LAYERS if f'{layer}.weight' in bare), '')
    names = ('weight', 'bias')
    return {name: bare[f'{layer}.{name}'] for name in names if f'{layer}.{name}' in bare}


def _shape(weight: Tensor) -> str:
    if weight.dim() != 2:
        return f'{weight.dim()} dimensions'
    classes, channels = weight.shape
    return f'{classes} classes on {channels} channels'
