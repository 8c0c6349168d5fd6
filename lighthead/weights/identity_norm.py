"""Batch norm that passes its input on, in training too.

A norm with mean 0 and variance 1 - eps changes nothing while it is evaluated; in training it
would divide by the batch's own statistics, and the layers behind it would see other values than
those that they were trained on. So such norms keep their statistics, while their scale and
shift learn. They are recognised by these statistics alone, which training never reaches, so that
checkpoints and resumed runs need no note of them.
"""

import torch
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def make_identity(norm: _BatchNorm) -> None:
    """Let a norm pass its input on."""
    norm.reset_parameters()
    assert norm.running_var is not None  # every batch norm of the backbones keeps statistics
    norm.running_var.fill_(1 - norm.eps)  # (x - 0) / sqrt(var + eps) is x itself


def keeps_identity(norm: _BatchNorm) -> bool:
    """Whether the statistics are those of :func:`make_identity`; never true of trained ones."""
    if norm.running_mean is None or norm.running_var is None or norm.running_mean.any():
        return False
    return bool(((norm.running_var - (1 - norm.eps)).abs() < norm.eps / 2).all())
