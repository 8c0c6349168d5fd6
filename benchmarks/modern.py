"""The modern detector, part by part: equal images, steps, augmentation and weights; one table.

Each variant is the 1.0x config of configs/modern/ with a few options, or another config, trained by
tools/train.py on the fit part of benchmarks/people_data.py and judged on its hold-out.
OUT/results.json is written after each run; what stands there is not run again, so a stopped
benchmark goes on.

    python benchmarks/modern.py --data-root SPLIT --weights shufflenetv2_x1_nanodet_plus_coco.pth \
        --teacher nanodet-plus-m_416 --out OUT [--names plain teacher] [--epochs 4] [--seeds 0 1]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lighthead.files import write_text_file

ROOT = Path(__file__).resolve().parent.parent
MODERN = 'modern/lighthead_modern.py'
FIGURES = ('bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_75', 'bbox_mAP_s', 'bbox_mAP_m', 'bbox_mAP_l')
FROZEN = ('model.backbone.frozen_stages=3',)
THIN16 = (
    'model.neck.thin_level=1',
    'model.roi_head.bbox_roi_extractor.featmap_strides=[16]',
)
NO_LEVELS = ('model.loss_distill_levels=None',)


@dataclass(frozen=True)
class Variant:
    """One detector to train.

    Attributes:
        name: What it is called.
        options: Of ``--cfg-options``.
        config: Under configs/.
        taught: Whether the teacher takes part; ``shared``: with the student's backbone.
    """

    name: str
    options: tuple[str, ...] = ()
    config: str = MODERN
    taught: bool = False
    shared: bool = False


VARIANTS = (
    Variant('plain'),
    Variant('frozen backbone', FROZEN),
    Variant('frozen, thin map at stride 16', FROZEN + THIN16),
    Variant('frozen, without global context', (*FROZEN, 'model.neck.context=False')),
    Variant('frozen, score of the class alone', (*FROZEN, 'model.roi_head.rpn_weight=0.0')),
    Variant('frozen, taught scores and boxes', FROZEN + NO_LEVELS, taught=True, shared=True),
    Variant('frozen, taught scores, boxes, levels', FROZEN, taught=True, shared=True),
    Variant('one stage, GFL', FROZEN, 'modern/one_stage_gfl.py'),
    Variant('one stage, RTMDet', FROZEN, 'modern/one_stage_rtmdet.py'),
    Variant('Light-Head R-CNN (S), 416', config='modern/light_head_s_416.py'),
    Variant('Light-Head R-CNN (S), 640', config='modern/light_head_s_640.py'),
)


def command(variant: Variant, seed: int, folder: Path, args: argparse.Namespace) -> list[str]:
    """The training of a variant as a command line."""
    options = [
        f'model.backbone.init_cfg.checkpoint={args.weights}',
        f'train_cfg.max_epochs={args.epochs}',
        f'train_cfg.val_interval={args.epochs}',
        f'param_scheduler.1.end={args.epochs}',
        f'param_scheduler.1.T_max={args.epochs}',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
        *variant.options,
    ]
    if variant.taught:
        options += [
            f'custom_hooks.2.param={args.teacher}.param',
            f'custom_hooks.2.weights={args.teacher}.bin',
            'custom_hooks.2.classes=[0]',
            f'custom_hooks.2.shared_backbone={variant.shared}',
        ]
    line = [sys.executable, '-W', 'ignore', 'tools/train.py', f'configs/{variant.config}']
    line += ['--data-root', args.data_root, '--amp']
    line += ['--work-dir', str(folder), '--seed', str(seed)]
    line += ['--resume'] if list(folder.glob('*.pth')) else []
    return [*line, '--cfg-options', *options]


def train(variant: Variant, seed: int, args: argparse.Namespace) -> dict:
    """Train a variant and return its figures.

    Raises:
        RuntimeError: the training failed; its log says why.
    """
    folder = Path(args.out) / 'runs' / f'{variant.name}-{seed}'.replace(' ', '_').replace(',', '')
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / 'log.txt', 'a') as log:
        ended = subprocess.run(
            command(variant, seed, folder, args),
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env=os.environ | {'OMP_NUM_THREADS': str(args.threads)},
        )
    if ended.returncode:
        raise RuntimeError(f'{variant.name}: exit code {ended.returncode}, see {folder}/log.txt.')
    return dict(name=variant.name, seed=seed, epochs=args.epochs) | read_figures(folder)


def read_figures(folder: Path) -> dict[str, float]:
    """The validation figures of the last epoch."""
    figures: dict[str, float] = {}
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in map(json.loads, path.read_text().splitlines()):
            if 'coco/bbox_mAP' in line:
                figures = {name: line[f'coco/{name}'] for name in FIGURES}
    return figures


def print_table(results: list[dict]) -> None:
    """Means over the seeds; the least and greatest AP."""
    table = Table('variant', 'epochs', 'seeds', *(name.removeprefix('bbox_') for name in FIGURES))
    for variant in VARIANTS:
        for epochs in sorted({r['epochs'] for r in results}):
            runs = [r for r in results if (r['name'], r['epochs']) == (variant.name, epochs)]
            if not runs:
                continue
            cells = [f'{statistics.mean(r[name] for r in runs):.3f}' for name in FIGURES]
            if len(runs) > 1:
                values = [r['bbox_mAP'] for r in runs]
                cells[0] += f' ({min(values):.3f}-{max(values):.3f})'
            table.add_row(variant.name, str(epochs), str(len(runs)), *cells)
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data-root', required=True, metavar='DIR', help='in COCO layout')
    parser.add_argument('--weights', required=True, metavar='FILE', help='of ShuffleNetV2 1.0x')
    parser.add_argument('--teacher', metavar='PATH', help="NanoDet-Plus' files without their ends")
    parser.add_argument('--names', nargs='+', choices=[v.name for v in VARIANTS])
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--epochs', type=int, default=4)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--out', required=True, metavar='DIR')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    for name in ('data_root', 'weights', 'teacher', 'out'):  # trainings start in ROOT
        path = getattr(args, name)
        setattr(args, name, path and str(Path(path).resolve()))
    os.makedirs(args.out, exist_ok=True)
    path = Path(args.out) / 'results.json'
    results = json.loads(path.read_text()) if path.is_file() else []
    failures = 0
    for seed in args.seeds:
        for variant in VARIANTS:
            chosen = args.names is None or variant.name in args.names
            if not chosen or (variant.taught and not args.teacher):
                continue
            key = (variant.name, seed, args.epochs)
            if key in {(r['name'], r['seed'], r['epochs']) for r in results}:
                continue
            try:
                results.append(train(variant, seed, args))
            except RuntimeError as error:
                failures += 1
                print(error, flush=True)
                continue
            write_text_file(json.dumps(results, indent=1), path)
            print(results[-1], flush=True)
    print_table(results)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
