"""Arguments that several sub-commands share.

Imports the standard library only, so that ``--help`` is quick.
"""

import argparse

from lighthead.commands.values import fold, key_value, number, positive_number, whole_number


def add_config(parser: argparse.ArgumentParser, example: str) -> None:
    """Add the positional ``config``, a file or the name of one that ships."""
    parser.add_argument('config', help=f'config file, or the name of one that ships: {example}')


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add mmdetection's ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        type=key_value,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. train_dataloader.batch_size=4',
    )


def add_division(parser: argparse.ArgumentParser) -> None:
    """Add ``--val-fraction`` and ``--fold``."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        '--val-fraction',
        type=number(0.001, 0.999),
        metavar='SHARE',
        help='validate on this share of the train split, where there is no val split',
    )
    group.add_argument(
        '--fold', type=fold, metavar='I/K', help='validate on the I-th of K parts of all images'
    )


def add_data_root(parser: argparse.ArgumentParser) -> None:
    """Add ``--data-root``."""
    parser.add_argument(
        '--data-root',
        metavar='DIR',
        help='data set in COCO, YOLO, Pascal VOC or LabelMe format; its classes are used',
    )


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """Add mmdetection's ``--launcher`` and ``--local-rank``."""
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes of a training on several devices',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Add mmdetection's ``--resume``."""
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        default=False,
        metavar='PATH',
        help='continue from PATH, or from the newest checkpoint of the work dir that loads',
    )


def add_load_from(parser: argparse.ArgumentParser) -> None:
    """Add ``--load-from``."""
    parser.add_argument(
        '--load-from',
        metavar='CHECKPOINT',
        help="start from all weights of a detector's checkpoint",
    )


def add_init(parser: argparse.ArgumentParser) -> None:
    """Add ``--init``."""
    parser.add_argument(
        '--init',
        metavar='WEIGHTS',
        help="start from a detector's name or file (all weights that fit), or the backbone from "
        'a file, or from e.g. torchvision://shufflenet_v2_x1_0',
    )


def add_width(parser: argparse.ArgumentParser) -> None:
    """Add ``--width``."""
    parser.add_argument(
        '--width',
        type=float,
        choices=(0.5, 1.0, 1.5, 2.0),
        help='width of the backbone; its weights and the channels of neck and heads follow',
    )


def add_img_scale(parser: argparse.ArgumentParser) -> None:
    """Add ``--img-scale``."""
    parser.add_argument(
        '--img-scale',
        type=whole_number(32, 8192),
        nargs=2,
        metavar=('WIDTH', 'HEIGHT'),
        help='size that images are scaled to fit into, in training and test',
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``."""
    parser.add_argument(
        '--workers',
        type=whole_number(0, 256),
        metavar='N',
        help='processes per data loader; 0 loads in the main process',
    )


def add_schedule(parser: argparse.ArgumentParser) -> None:
    """Add ``--epochs`` and the flags of :func:`add_recipe`."""
    parser.add_argument(
        '--epochs',
        type=whole_number(1, 100_000),
        metavar='N',
        help='epochs; the learning-rate schedule follows',
    )
    add_recipe(parser)


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add batch size, learning rate, workers, mixed precision and seed."""
    parser.add_argument(
        '--batch-size',
        type=whole_number(1, 65_536),
        metavar='N',
        help='training images per process and iteration',
    )
    parser.add_argument(
        '--lr', type=positive_number, help='learning rate, not scaled to the batch size'
    )
    add_workers(parser)
    parser.add_argument('--amp', action='store_true', help='mixed precision (bf16 on a CPU)')
    parser.add_argument('--seed', type=int, help='seed of weights, order and augmentation')


def add_debug(parser: argparse.ArgumentParser, nested: bool = False) -> None:
    """Add ``--debug``; ``nested`` in the parser of a sub-command's own sub-command."""
    parser.add_argument(
        '--debug',
        action='store_true',
        default=argparse.SUPPRESS if nested else False,
        help='show the traceback of every error',
    )


def add_trust_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust-checkpoint``."""
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='unpickle a file that was not written here: it may run code, so trust its maker',
    )
