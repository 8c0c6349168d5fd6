"""Pretrain a backbone on ImageNet, or on any folder of class folders."""

import argparse

from lighthead.commands import arguments, values

EXAMPLES = """
  lighthead pretrain pretrain/shufflev2star --data-root data/imagenet --amp
  lighthead pretrain pretrain/shufflev2 --eval-only torchvision://shufflenet_v2_x1_0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead pretrain``."""
    arguments.add_config(parser, 'pretrain/shufflev2star')
    parser.add_argument(
        '--data-root', metavar='DIR', help='folder with train/<class>/ and val/<class>/'
    )
    parser.add_argument('--work-dir', help='logs and checkpoints (work_dirs/<config>)')
    arguments.add_resume(parser)
    arguments.add_init(parser)
    parser.add_argument(
        '--ema',
        nargs='?',
        type=values.number(0, 1),
        const=1e-4,
        metavar='MOMENTUM',
        help='average the weights, with this momentum per optimizer step (0.0001)',
    )
    parser.add_argument(
        '--eval-only',
        metavar='CHECKPOINT',
        help='top-1 and top-5 of a file or of torchvision://shufflenet_v2_x1_0, without training',
    )
    arguments.add_width(parser)
    arguments.add_recipe(parser)
    arguments.add_launcher(parser)
    arguments.add_cfg_options(parser)


def main(args: argparse.Namespace) -> None:
    """Pretrain or evaluate."""
    from lighthead.commands.pretrain_job import pretrain

    pretrain(args)
