"""Train a detector: ``python tools/train.py configs/lighthead_shufflev2star.py``."""

import os
import sys

from lighthead.cli import add_cfg_options, add_data_root, add_launcher, make_parser, run
from lighthead.commands.train import TrainOptions, train


def main() -> int:
    parser = make_parser('Train a detector.')
    parser.add_argument('config', help='config file, e.g. configs/lighthead_shufflev2star.py')
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
        '--auto-scale-lr', action='store_true', help='scale the rate to the real batch size'
    )
    parser.add_argument(
        '--from-scratch',
        action='store_true',
        help='no pretrained weights: batch norm trains, nothing is frozen',
    )
    parser.add_argument('--seed', type=int, help='seed of weights, order and augmentation')
    add_data_root(parser)
    add_launcher(parser)
    add_cfg_options(parser)
    return run(_train, parser.parse_args())


def _train(args) -> None:
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    names = TrainOptions.__dataclass_fields__
    train(TrainOptions(**{name: getattr(args, name) for name in names}))


if __name__ == '__main__':
    sys.exit(main())
