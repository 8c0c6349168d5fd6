"""Train a detector."""

import argparse
import os

from lighthead.commands import arguments

EXAMPLES = """
  lighthead train lighthead_shufflev2star --data-root data/coco
  lighthead train finetune/lighthead_shufflev2star_x0_5 --data-root my_data
  torchrun --nproc_per_node=8 -m lighthead train CONFIG --launcher pytorch
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead train``."""
    arguments.add_config(parser, 'lighthead_shufflev2star')
    parser.add_argument('--work-dir', help='logs and checkpoints (work_dirs/<config>)')
    arguments.add_data_root(parser)
    arguments.add_resume(parser)
    parser.add_argument('--amp', action='store_true', help='mixed precision (bf16 on a CPU)')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate to the batch size'
    )
    parser.add_argument(
        '--from-scratch',
        action='store_true',
        help='no pretrained weights: batch norm trains, nothing is frozen',
    )
    parser.add_argument('--seed', type=int, help='seed of weights, order and augmentation')
    arguments.add_launcher(parser)
    arguments.add_cfg_options(parser)


def main(args: argparse.Namespace) -> None:
    """Train."""
    from lighthead.commands.config import parse_cfg_options
    from lighthead.commands.train_job import train

    os.environ.setdefault('LOCAL_RANK', str(args.local_rank or 0))
    args.cfg_options = parse_cfg_options(args.cfg_options)
    train(args)
