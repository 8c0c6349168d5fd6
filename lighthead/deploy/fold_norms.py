"""Batch norm folded into the convolutions before it."""

import copy

from mmcv.cnn import fuse_conv_bn
from torch import nn


def fold_norms(model: nn.Module) -> None:
    """Fold the norms of a model in eval mode, in place, with mmcv's function.

    It folds a norm into the convolution that its module registers before it. Where several
    norms share a convolution, as in RTMDet's heads, each gets a copy of its own first: mmcv's
    function would fold them all into the one.
    """
    convolutions = set()
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if isinstance(module, nn.Conv2d):
            if module in convolutions:
                model.set_submodule(name, copy.deepcopy(module))
            convolutions.add(module)
    fuse_conv_bn(model)
