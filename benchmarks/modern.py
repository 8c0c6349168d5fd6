"""The modern detector, part by part: equal images, steps, augmentation and weights; one table.

Each variant is the 1.0x config of configs/modern/ with a few options, or another config, trained by
tools/train.py on a data set in COCO layout and judged on its validation images: all classes, and
persons alone. The backbone keeps its weights unless a variant says otherwise. A variant that
differs only in testing takes the weights of the first one. OUT/results.json is written after each
run; what stands there is not run again, so a stopped benchmark goes on.

    python benchmarks/modern.py --data-root coco-people \
        --weights shufflenetv2_x1_nanodet_plus_coco.pth --teacher nanodet-plus-m_416 --out OUT \
        [--names "modern" "one stage, GFL"] [--epochs 3] [--seeds 0 1]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lighthead.data.clean_coco import CleanCOCO
from lighthead.evaluation.coco_eval import PRECISIONS, average_precision, evaluate_boxes
from lighthead.files import write_text_file

ROOT = Path(__file__).resolve().parent.parent
MODERN = 'modern/lighthead_modern.py'
PERSON = 'person'
FIGURES = ('mAP', 'mAP_50', 'person mAP', 'person mAP_50', 'person mAP_s', 'person mAP_l')
FROZEN = ('model.backbone.frozen_stages=3',)
THIN16 = (
    'model.neck.thin_level=1',
    'model.roi_head.bbox_roi_extractor.featmap_strides=[16]',
)
CLASSES = (
    'model.roi_head.loss_distill_cls.type=QualityFocalLoss',
    'model.roi_head.loss_distill_cls.use_sigmoid=True',
    'model.roi_head.loss_distill_cls.loss_weight=2.0',
)
NO_LEVELS = ('model.loss_distill_levels=None',)
NO_CONV5 = (
    'model.backbone.with_conv5=False',
    'model.backbone.out_indices=(1,2)',
    'model.neck.in_channels=464',
)
NORMS = ('model.backbone.norm_cfg.requires_grad=True',)  # conv5's, since it starts anew


@dataclass(frozen=True)
class Variant:
    """One detector to train.

    Attributes:
        name: What it is called.
        options: Of ``--cfg-options``.
        config: Under configs/.
        taught: Whether the teacher takes part, with the student's backbone.
        weights_of: Of which variant it takes the weights, instead of a training.
    """

    name: str
    options: tuple[str, ...] = FROZEN
    config: str = MODERN
    taught: bool = False
    weights_of: str = ''


def tested(name: str, *options: str) -> Variant:
    """The first variant, tested with other options."""
    return Variant(name, options, weights_of='modern')


VARIANTS = (
    Variant('modern'),
    tested('modern, score of the class alone', 'model.roi_head.rpn_weight=0.0'),
    tested("modern, RPN's share of the score 0.3", 'model.roi_head.rpn_weight=0.3'),
    Variant('one stage, GFL', config='modern/one_stage_gfl.py'),
    Variant('Light-Head R-CNN (S), 640', FROZEN + NORMS, config='modern/light_head_s_640.py'),
    Variant('taught scores, boxes, levels', taught=True),
    Variant('taught scores, boxes, levels, classes', FROZEN + CLASSES, taught=True),
    Variant('one stage, RTMDet', config='modern/one_stage_rtmdet.py'),
    Variant('Light-Head R-CNN (S), 416', FROZEN + NORMS, config='modern/light_head_s_416.py'),
    Variant('thin map at stride 16', FROZEN + THIN16),
    Variant('without global context', (*FROZEN, 'model.neck.context=False')),
    Variant('taught scores and boxes', FROZEN + NO_LEVELS, taught=True),
    Variant(
        'Light-Head R-CNN (S), 416, without conv5',
        FROZEN + NO_CONV5,
        config='modern/light_head_s_416.py',
    ),
    Variant('all layers trained', ()),
)


def folder_of(name: str, seed: int, args: argparse.Namespace) -> Path:
    """Where a variant's files lie."""
    return Path(args.out) / 'runs' / f'{name}-{seed}'.replace(' ', '_').replace(',', '')


def training(variant: Variant, seed: int, folder: Path, args: argparse.Namespace) -> list[str]:
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
        f'val_evaluator.out={folder}/detections.json',
        *variant.options,
    ]
    if variant.taught:
        options += [
            f'custom_hooks.2.param={args.teacher}.param',
            f'custom_hooks.2.weights={args.teacher}.bin',
            'custom_hooks.2.shared_backbone=True',
        ]
        options += ['custom_hooks.2.classes=[0]'] if class_names(args) == [PERSON] else []
    line = [sys.executable, '-W', 'ignore', 'tools/train.py', f'configs/{variant.config}']
    line += ['--data-root', args.data_root, '--amp']
    line += ['--work-dir', str(folder), '--seed', str(seed)]
    line += ['--resume'] if list(folder.glob('*.pth')) else []
    return [*line, '--cfg-options', *options]


def test(variant: Variant, seed: int, folder: Path, args: argparse.Namespace) -> list[str]:
    """The test of a variant that takes another's weights, as a command line."""
    checkpoint = folder_of(variant.weights_of, seed, args) / f'epoch_{args.epochs}.pth'
    line = [sys.executable, '-W', 'ignore', 'tools/test.py', f'configs/{variant.config}']
    line += [str(checkpoint), '--data-root', args.data_root, '--workers', '0']
    line += ['--work-dir', str(folder), '--out', str(folder / 'detections.json')]
    return [*line, '--cfg-options', *variant.options]


def run(variant: Variant, seed: int, args: argparse.Namespace) -> dict:
    """Train or test a variant and return its figures.

    Raises:
        RuntimeError: it failed; its log says why.
    """
    folder = folder_of(variant.name, seed, args)
    folder.mkdir(parents=True, exist_ok=True)
    command = test if variant.weights_of else training
    before = cpu_seconds()
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
    label = dict(name=variant.name, seed=seed, epochs=args.epochs)
    minutes = dict(cpu_minutes=(cpu_seconds() - before) / 60)
    return label | minutes | figures(folder / 'detections.json', args)


def cpu_seconds() -> float:
    """Of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def annotation_file(args: argparse.Namespace) -> str:
    return f'{args.data_root}/annotations/instances_val2017.json'


def class_names(args: argparse.Namespace) -> list[str]:
    """Of the data set."""
    categories = json.loads(Path(annotation_file(args)).read_text())['categories']
    return [category['name'] for category in categories]


def figures(path: Path, args: argparse.Namespace) -> dict[str, float]:
    """AP of all classes and of persons from a file of detections."""
    coco = CleanCOCO(annotation_file(args))
    groups = {'': coco.getCatIds(), f'{PERSON} ': coco.getCatIds(catNms=[PERSON])}
    detections = json.loads(path.read_text())
    values = {}
    for group, ids in groups.items():
        evaluation = evaluate_boxes(coco, detections, ids)
        for name, (iou, area) in PRECISIONS.items():
            values[group + name] = average_precision(evaluation, iou, area)
    return values


def print_table(results: list[dict]) -> None:
    """Means over the seeds; the least and greatest AP of persons."""
    table = Table('variant', 'epochs', 'seeds', *(name.replace('mAP', 'AP') for name in FIGURES))
    for variant in VARIANTS:
        for epochs in sorted({r['epochs'] for r in results}):
            runs = [r for r in results if (r['name'], r['epochs']) == (variant.name, epochs)]
            if not runs:
                continue
            cells = [f'{statistics.mean(r[name] for r in runs):.3f}' for name in FIGURES]
            if len(runs) > 1:
                values = [r['person mAP'] for r in runs]
                cells[2] += f' ({min(values):.3f}-{max(values):.3f})'
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
    parser.add_argument('--epochs', type=int, default=3)
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
                results.append(run(variant, seed, args))
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
