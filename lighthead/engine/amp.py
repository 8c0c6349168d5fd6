"""Mixed precision on either device: fp16 with loss scaling on CUDA, bf16 autocast elsewhere.

mmengine's AmpOptimWrapper asserts a GPU. bf16 has fp32's range, so autocast to
it needs no loss scaling and runs on any device.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from lighthead.errors import UserError


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):
    """OptimWrapper (same arguments) whose forward pass runs under bf16 autocast."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast on the device of the model's parameters."""
        device_type = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device_type, dtype=torch.bfloat16):
            yield


def apply_amp(cfg: Config, cuda: bool | None = None) -> None:
    """Change ``cfg.optim_wrapper`` in place to mixed precision, as ``--amp`` asks for.

    Args:
        cuda: Whether training runs on a GPU; by default whether there is one.

    Raises:
        UserError: if the config uses an optimizer wrapper of another kind.
    """
    cuda = torch.cuda.is_available() if cuda is None else cuda
    wanted = 'AmpOptimWrapper' if cuda else 'Bf16OptimWrapper'
    current = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if current in ('AmpOptimWrapper', 'Bf16OptimWrapper'):
        print_log(f'--amp: the config already asks for {current}.', 'current')
        return
    if current != 'OptimWrapper':
        raise UserError(
            f'--amp needs optim_wrapper.type=OptimWrapper, but the config has {current}: '
            'set the wrapper in the config instead of passing --amp.'
        )
    cfg.optim_wrapper.type = wanted
    if cuda:
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
