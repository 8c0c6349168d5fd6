"""Pretrain a backbone: ``python tools/pretrain.py configs/pretrain/shufflev2star.py``."""

import argparse
import sys

from lighthead.cli import add_cfg_options, add_launcher, make_parser, run
from lighthead.commands.pretrain import PretrainOptions, pretrain


def main() -> int:
    parser = make_parser('Pretrain a backbone on ImageNet, or on any folder of class folders.')
    parser.add_argument('config', help='config file, e.g. configs/pretrain/shufflev2star.py')
    parser.add_argument(
        '--data-root', metavar='DIR', help='folder with train/<class>/ and val/<class>/'
    )
    parser.add_argument('--work-dir', help='logs and checkpoints (work_dirs/<config>)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        default=False,
        metavar='PATH',
        help='continue from PATH, or from the newest checkpoint of the work dir that loads',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (bf16 on a CPU)')
    parser.add_argument(
        '--ema',
        nargs='?',
        type=float,
        const=1e-4,
        metavar='MOMENTUM',
        help='average the weights, with this momentum per optimizer step (0.0001)',
    )
    parser.add_argument(
        '--eval-only',
        metavar='CHECKPOINT',
        help='top-1 and top-5 of a file or of torchvision://shufflenet_v2_x1_0, without training',
    )
    parser.add_argument('--seed', type=int, help='seed of weights, order and augmentation')
    add_launcher(parser)
    add_cfg_options(parser)
    return run(_pretrain, parser.parse_args())


def _pretrain(args: argparse.Namespace) -> None:
    names = PretrainOptions.__dataclass_fields__
    pretrain(PretrainOptions(**{name: getattr(args, name) for name in names}))


if __name__ == '__main__':
    sys.exit(main())
