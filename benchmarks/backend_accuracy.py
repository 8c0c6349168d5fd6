"""AP of one checkpoint on every backend and precision that runs here, over the same images.

With the checkpoint's own image size and test settings, without a score threshold.
INT8 is calibrated on the training images.

    python benchmarks/backend_accuracy.py CHECKPOINT --data-root DIR
"""

import argparse
import sys
import tempfile
from pathlib import Path

from all_backends import export_all, open_all
from rich.console import Console
from rich.table import Table

from lighthead.evaluation.accuracy import measure, validation_split
from lighthead.speed.harness.quiet import quiet_libraries
from lighthead.speed.harness.timer import intra_op_threads


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', type=Path, help='of tools/train.py')
    parser.add_argument('--data-root', required=True, metavar='DIR', help='in COCO layout')
    parser.add_argument('--images', type=int, help='only so many')
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    split = validation_split(args.data_root)
    with tempfile.TemporaryDirectory() as folder, quiet_libraries(), intra_op_threads(args.threads):
        files = export_all(args.checkpoint, Path(folder), args.data_root)
        accuracies = measure(
            open_all(args.checkpoint, files, 0.0, args.threads), split, args.images
        )
    table = Table(title=f'{args.checkpoint.name}, {split.ann_file.name}, {args.threads} threads')
    for name in ('backend', 'AP', 'AP50', 'AP minus torch fp32', 'median ms per image'):
        table.add_column(name, justify='left' if name == 'backend' else 'right', no_wrap=True)
    reference = accuracies['torch fp32'].ap
    for name, one in accuracies.items():
        loss = f'{one.ap - reference:+.4f}'
        table.add_row(name, f'{one.ap:.4f}', f'{one.ap_50:.4f}', loss, f'{one.seconds * 1e3:.1f}')
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == '__main__':
    main()
