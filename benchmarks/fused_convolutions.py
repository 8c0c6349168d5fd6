"""Convolutions fused with their activations against plain ones, in torch on the CPU.

The convolutional part of a checkpoint's detector, in alternating rounds.

    python benchmarks/fused_convolutions.py CHECKPOINT --shape 416 416 --threads 2
"""

from functools import partial
from pathlib import Path

import torch
from comparison import make_parser, run_groups

from lighthead.checkpoint.build_model import build_detector
from lighthead.checkpoint.safe_files import load_checkpoint_file
from lighthead.checkpoint.specification import read_specification
from lighthead.deploy.dense import DenseNetwork
from lighthead.deploy.fused_conv import fuse_convs
from lighthead.deploy.precision import in_memory_format
from lighthead.speed.harness.timer import Workload


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument('checkpoint', type=Path, help='of tools/train.py')
    parser.add_argument('--shape', nargs=2, type=int, default=(800, 1216), metavar=('H', 'W'))
    args = parser.parse_args()
    content = load_checkpoint_file(args.checkpoint)
    specification = read_specification(content['meta'], args.checkpoint)
    model = build_detector(specification, content['state_dict'], args.checkpoint)
    images = torch.randn(1, 3, *args.shape, generator=torch.Generator().manual_seed(args.seed))
    groups = []
    for name, dtype in (('fp32', torch.float32), ('bf16', torch.bfloat16)):
        batch = images.to(dtype, memory_format=torch.channels_last)
        work = []
        for key in ('plain', 'fused'):
            dense = DenseNetwork(model)
            if key == 'fused':
                fuse_convs(dense)
            in_memory_format(dense.to(dtype), torch.channels_last)
            work.append(Workload(key, torch.inference_mode()(partial(dense, batch))))
        groups.append((f'{name}, {args.shape[0]} x {args.shape[1]}', work))
    run_groups(groups, args, 'Convolutional part')


if __name__ == '__main__':
    main()
