"""Convolutions fused with their activations against plain ones, in torch on the CPU.

The convolutional part of a detector with random weights, in alternating rounds: with ReLU and
with LeakyReLU, at two sizes, in float32 and bfloat16. The fusion calls a private operator of
torch, so it stays only where it is worth it: a median gain of at least 5 % over ten rounds.

    python benchmarks/fused_convolutions.py --threads 2
"""

from collections.abc import Iterator
from functools import partial

import torch
from comparison import make_parser, run_groups
from torch import nn

from lighthead.checkpoint.build_model import build_model
from lighthead.config.read import read
from lighthead.deploy.dense import DenseNetwork
from lighthead.deploy.fused_conv import fuse_convs
from lighthead.deploy.precision import in_memory_format
from lighthead.speed.detectors.build import without_weights
from lighthead.speed.harness.timer import Workload

ACTIVATIONS = {'ReLU': dict(type='ReLU'), 'LeakyReLU': dict(type='LeakyReLU', negative_slope=0.1)}
SIZES = ((800, 1216), (416, 416))
"""Height and width."""
DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}


def build(config: str, activation: str) -> nn.Module:
    """The detector of a config, with random weights."""
    cfg = read(config, (), {'model.backbone.act_cfg': ACTIVATIONS[activation]}).cfg
    without_weights(cfg.model)
    return build_model(cfg.model)


def groups_of(config: str, seed: int) -> Iterator[tuple[str, list[Workload]]]:
    """Plain and fused convolutions in each case."""
    for activation in ACTIVATIONS:
        model = build(config, activation)
        for size in SIZES:
            images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(seed))
            for precision, dtype in DTYPES.items():
                batch = images.to(dtype, memory_format=torch.channels_last)
                works = []
                for key in ('plain', 'fused'):
                    dense = DenseNetwork(model)
                    if key == 'fused':
                        fuse_convs(dense)
                    in_memory_format(dense.to(dtype), torch.channels_last)
                    works.append(Workload(key, torch.inference_mode()(partial(dense, batch))))
                yield f'{activation}, {size[0]} x {size[1]}, {precision}', works


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('config', nargs='?', default='lighthead_shufflev2star')
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    run_groups(list(groups_of(args.config, args.seed)), args, 'Convolutional part')


if __name__ == '__main__':
    main()
