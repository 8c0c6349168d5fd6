"""Convert, check, split, show and download data sets."""

import argparse
from pathlib import Path

from lighthead.commands import arguments, values

EXAMPLES = """
  lighthead data check my_photos                     # what is in it, what is wrong with it
  lighthead data check my_photos --html data.html --fix my_photos_clean
  lighthead data convert my_photos out --to yolo     # from COCO, YOLO, Pascal VOC or LabelMe
  lighthead data split my_photos out --shares train=8 val=2 --group-by folder
  lighthead data show my_photos --out sheet.jpg      # images with their boxes
  lighthead data show my_photos --config finetune/lighthead_shufflev2star_x0_5  # as trained on
  lighthead data download coco --root data/coco --what val annotations
"""
FORMS = ('coco', 'yolo', 'voc')
PARTS = ('val', 'annotations', 'train')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead data`` and of its own sub-commands."""
    subparsers = parser.add_subparsers(dest='task', metavar='TASK', required=True)
    for name, text, add in (
        ('check', 'what is in a data set and what is wrong with it', _add_check),
        ('convert', 'write a data set in another format', _add_convert),
        ('split', 'divide a data set anew, classes evenly, groups together', _add_split),
        ('show', 'draw images with their boxes on one sheet', _add_show),
        ('download', 'download a public data set', _add_download),
    ):
        sub = subparsers.add_parser(name, help=text, description=text)
        add(sub)
        arguments.add_debug(sub)


def _add_check(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument('--fix', type=Path, metavar='DIR', help='write a cleaned copy there')
    parser.add_argument(
        '--html', type=Path, metavar='FILE', help='write a page with tables and pictures'
    )
    parser.add_argument(
        '--config',
        default='lighthead_shufflev2star',
        help='whose anchors and image size the page compares the boxes with (default: %(default)s)',
    )
    arguments.add_img_scale(parser)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument('out', type=Path, help='a new folder')
    parser.add_argument('--to', choices=FORMS, required=True, help='format of the copy')
    _add_link(parser)


def _add_split(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument('out', type=Path, help='a new folder')
    parser.add_argument(
        '--shares',
        nargs='+',
        type=_share,
        default=[('train', 8.0), ('val', 2.0)],
        metavar='SPLIT=SHARE',
        help='of train, val and test (default: train=8 val=2)',
    )
    parser.add_argument('--seed', type=int, default=0, help='(default: 0)')
    parser.add_argument(
        '--group-by',
        metavar='RULE',
        help="'folder', or a regular expression with a group: images of a group stay together",
    )
    parser.add_argument('--to', choices=FORMS, default='coco', help='format (default: coco)')
    _add_link(parser)


def _add_show(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument('--out', type=Path, default=Path('sheet.jpg'), help='(default: sheet.jpg)')
    parser.add_argument('--split', choices=('train', 'val', 'test'), help='(default: the first)')
    parser.add_argument(
        '--config', help='show the images as this config augments them for training'
    )
    parser.add_argument('--count', type=values.whole_number(1, 400), default=24)
    parser.add_argument('--seed', type=int, default=0, help='which images (default: 0)')


def _add_download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('name', choices=('coco',), help='coco: COCO 2017')
    parser.add_argument('--root', type=Path, required=True, metavar='DIR', help='where to put it')
    parser.add_argument(
        '--what', nargs='+', choices=PARTS, default=list(PARTS), help='(default: all, 20 GB)'
    )
    parser.add_argument('--keep-zip', action='store_true', help='keep the archives')
    parser.add_argument('--server', help=argparse.SUPPRESS)


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('root', help='folder of a data set: COCO, YOLO, Pascal VOC or LabelMe')


def _add_link(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--link', action='store_true', help='link the images, do not copy them')


def _share(text: str) -> tuple[str, float]:
    name, _, share = text.partition('=')
    try:
        value = float(share)
    except ValueError:
        value = 0.0
    if name not in ('train', 'val', 'test') or not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text!r} is not like train=8')
    return name, value


def main(args: argparse.Namespace) -> int:
    """Run the task; 2 where ``check`` found errors."""
    from lighthead.commands import data_tasks

    return getattr(data_tasks, args.task)(args)
