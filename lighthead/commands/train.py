"""Train a detector."""

import argparse

from lighthead.commands import arguments

EXAMPLES = """
  lighthead train lighthead_shufflev2star --data-root data/coco
  lighthead train finetune/lighthead_modern --data-root my_data --auto
  torchrun --nproc_per_node=8 -m lighthead train CONFIG --launcher pytorch
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead train``."""
    arguments.add_config(parser, 'lighthead_shufflev2star')
    parser.add_argument('--work-dir', help='logs and checkpoints (work_dirs/<config>)')
    arguments.add_data_root(parser)
    arguments.add_division(parser)
    parser.add_argument(
        '--auto',
        action='store_true',
        help='choose input size, batch size, steps and more by the data, and say why',
    )
    arguments.add_resume(parser)
    arguments.add_load_from(parser)
    arguments.add_init(parser)
    parser.add_argument(
        '--from-scratch',
        action='store_true',
        help='no pretrained weights: batch norm trains, nothing is frozen',
    )
    arguments.add_width(parser)
    arguments.add_img_scale(parser)
    arguments.add_schedule(parser)
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate to the batch size'
    )
    parser.add_argument(
        '--no-report', action='store_true', help='write no report.html at the end of the training'
    )
    arguments.add_launcher(parser)
    arguments.add_cfg_options(parser)


def main(args: argparse.Namespace) -> None:
    """Train."""
    from lighthead.commands.train_job import train

    train(args)
