"""What the tasks of ``lighthead data`` do."""

import argparse

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from lighthead.config.read_anchors import config_anchors, training_images
from lighthead.data.coco_download import ARCHIVES, SERVER, download_coco
from lighthead.data.convert import convert as convert_dataset
from lighthead.data.convert import divided
from lighthead.data.formats import LabelledData, read_dataset
from lighthead.data.health import check_dataset
from lighthead.data.repair import write_repaired
from lighthead.data.split import group_by
from lighthead.errors import EXIT_OK, EXIT_USER, UserError
from lighthead.evaluation.contact_sheet import labelled_images, write_sheet
from lighthead.evaluation.data_page import health_page
from lighthead.report.write import prepare_page, write_html


def _read(root: str) -> LabelledData:
    data = read_dataset(root)
    print(data)
    return data


def check(args: argparse.Namespace) -> int:
    """Check a data set; errors exit with 2."""
    anchors = None
    if args.html:
        prepare_page(args.html, '--html')
        anchors = config_anchors(args.config, args.img_scale)
    report = check_dataset(read_dataset(args.root))
    print('\n'.join(report.lines()))
    if anchors is not None:
        write_html(health_page(report, anchors), args.html)
        print(f'written: {args.html}')
    if args.fix:
        print('\n'.join(write_repaired(report, args.fix)))
        print(f'written: {args.fix}')
    return EXIT_USER if report.errors else EXIT_OK


def convert(args: argparse.Namespace) -> int:
    """Convert a data set."""
    notes = convert_dataset(_read(args.root), args.out, args.to, copy=not args.link)
    print('\n'.join([*notes, f'written: {args.out}']))
    return EXIT_OK


def split(args: argparse.Namespace) -> int:
    """Divide a data set anew."""
    group_of = group_by(args.group_by) if args.group_by else None
    data = divided(_read(args.root), dict(args.shares), args.seed, group_of)
    notes = convert_dataset(data, args.out, args.to, copy=not args.link)
    print('\n'.join([*notes, f'written: {args.out}']))
    return EXIT_OK


def show(args: argparse.Namespace) -> int:
    """Draw a contact sheet."""
    if args.config:
        if args.split not in (None, 'train'):
            raise UserError('--config shows images of the train split: leave --split out.')
        classes: list[str] = []
        augmented = training_images(args.config, args.root, args.count, args.seed, classes)
        print(f'written: {write_sheet(augmented, classes, args.out)}')
        return EXIT_OK
    data = _read(args.root)
    name = args.split or next(iter(data.splits))
    if name not in data.splits:
        raise UserError(f'{args.root} has no {name} split.')
    split = data.splits[name]
    images = labelled_images(split, args.count, args.seed)
    print(f'written: {write_sheet(images, split.classes, args.out)}')
    return EXIT_OK


def download(args: argparse.Namespace) -> int:
    """Download COCO, with a progress bar per archive."""
    console = Console(stderr=True)
    columns = ('{task.description}', BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bars = {name: progress.add_task(name, total=ARCHIVES[name].size) for name in args.what}

        def report(name: str, arrived: int, size: int) -> None:
            progress.update(bars[name], completed=arrived)

        download_coco(args.root, args.what, report, args.server or SERVER, args.keep_zip)
    print(f'{", ".join(args.what)} of COCO 2017 in {args.root}')
    return EXIT_OK
