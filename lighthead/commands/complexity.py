"""Count a detector's multiply-adds (the paper's FLOPs) and how they divide over its parts."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lighthead.commands.speed import height_width

if TYPE_CHECKING:
    from mmdet.models.detectors import BaseDetector

EXAMPLES = """
  lighthead complexity lighthead_shufflev2star
  lighthead complexity lighthead_shufflev2 lighthead_shufflev2star --table7
"""
SIZES = ((800, 1200), (800, 1216))
"""Height and width: the paper's size, unpadded, and padded to a multiple of 32."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lighthead complexity``."""
    parser.add_argument('config', nargs='+', help='of a detector; mmdet:<path> for one of mmdet')
    parser.add_argument(
        '--shape',
        type=height_width,
        nargs='+',
        default=SIZES,
        metavar='HxW',
        help='sizes of the image (800x1200, and 800x1216 as it is padded)',
    )
    parser.add_argument(
        '--table7',
        action='store_true',
        help="a row of Markdown for each config, with the paper's figures of Table 7",
    )


def main(args: argparse.Namespace) -> None:
    """Count and print."""
    from lighthead.speed.detectors.build import build_mmdet_detector
    from lighthead.speed.detectors.table7 import table7_rows

    if args.table7:
        for line in table7_rows(args.config):
            print(line)
        return
    for config in args.config:
        _print_shares(build_mmdet_detector(config), config, args.shape)


def _print_shares(model: 'BaseDetector', config: str, shapes: Sequence[tuple[int, int]]) -> None:
    from rich.console import Console

    from lighthead.report.page import Table
    from lighthead.report.terminal import rich_table
    from lighthead.speed.detectors.complexity import detector_shares

    rois = model.test_cfg.get('rpn', {}).get('max_per_img')
    console = Console(width=None if sys.stdout.isatty() else 100)
    for height, width in shapes:
        shares = detector_shares(model, height, width)
        total = sum(share.macs for share in shares)
        rows = [
            (s.part, f'{s.macs / 1e6:.0f}', f'{s.macs / total:.1%}', f'{s.parameters / 1e6:.2f}')
            for s in shares
        ]
        parameters = sum(share.parameters for share in shares) / 1e6
        rows.append(('sum', f'{total / 1e6:.0f}', '100.0%', f'{parameters:.2f}'))
        title = f'{Path(config).stem}, {height}x{width}: {total / 1e9:.3f} G multiply-adds'
        columns = ('part', 'M MACs', 'share', 'M parameters')
        console.print(rich_table(Table(title, columns, rows), console.width))
        if rois:
            note = f'The R-CNN head is counted for {rois} RoIs.'
            console.print(f'[dim]{note}[/dim]', highlight=False)
