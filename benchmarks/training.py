"""Detectors under equal conditions: images, steps and sizes; several seeds; one table.

Four questions, each a group of runs:

- ``star``: ShuffleNetV2 against ShuffleNetV2*, 0.5x, from the same weights;
- ``recipe``: what each piece of the authors' R-CNN training brings to the plain one (random
  sampling, average pooling, box loss x1), on ShuffleNetV2* 0.5x;
- ``backbones``: the paper's five at 140M, from scratch;
- ``pretrained``: the two of them that published weights fit, ShuffleNetV2 and ShuffleNetV2* 1x.

Everything else is configs/finetune/'s recipe. Every run is one process of tools/train.py on
cores of its own, and its validation figures are those of the last epoch. OUT/results.json is
written after each run; what stands there is not run again, so a stopped benchmark goes on.

    python benchmarks/training.py --data-root DIR --weights-0-5x FILE --weights-1x FILE --out OUT
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

from mmengine.config import Config, ConfigDict
from rich.console import Console
from rich.table import Table

from lighthead.files import write_text_file
from lighthead.weights import from_scratch

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / 'configs' / 'finetune' / 'lighthead_shufflev2star_x0_5.py'
FIGURES = {'AP': 'bbox_mAP', 'AP50': 'bbox_mAP_50', 'person AP': 'person_precision'}
"""Columns of the table, and the names under ``coco/`` in the log of a run."""

PLAIN = {
    'roi_head.bbox_roi_extractor.roi_layer.mode': 'avg',
    'roi_head.bbox_head.loss_bbox.loss_weight': 1.0,
}
OHEM = {
    'train_cfg.rcnn.sampler': dict(type='AllRoIsSampler'),
    'roi_head.ohem_rois_per_image': 256,
}
MAXIMUM = {'roi_head.bbox_roi_extractor.roi_layer.mode': 'max'}
BOX_LOSS = {'roi_head.bbox_head.loss_bbox.loss_weight': 2.0}


@dataclass(frozen=True)
class Run:
    """One detector to train.

    Attributes:
        group, name: What it is called.
        source: Config whose backbone, neck and RPN it has.
        weights: ``'0.5x'``, ``'1x'`` (files from the command line), or '' for from scratch.
        changes: Dotted keys under ``model``.
    """

    group: str
    name: str
    source: str
    weights: str = ''
    changes: dict = field(default_factory=dict, hash=False)


RUNS = (
    Run('star', 'ShuffleNetV2 0.5x', 'lighthead_shufflev2_x0_5', '0.5x'),
    Run('star', 'ShuffleNetV2* 0.5x', 'lighthead_shufflev2star_x0_5', '0.5x'),
    Run('recipe', 'plain', 'lighthead_shufflev2star_x0_5', '0.5x', PLAIN),
    Run('recipe', 'plain + maximum', 'lighthead_shufflev2star_x0_5', '0.5x', PLAIN | MAXIMUM),
    Run('recipe', 'plain + box loss x2', 'lighthead_shufflev2star_x0_5', '0.5x', PLAIN | BOX_LOSS),
    Run('recipe', 'plain + OHEM', 'lighthead_shufflev2star_x0_5', '0.5x', PLAIN | OHEM),
    Run(
        'recipe',
        'plain + all three',
        'lighthead_shufflev2star_x0_5',
        '0.5x',
        MAXIMUM | BOX_LOSS | OHEM,
    ),
    Run('backbones', 'Xception', 'table7/xception_140m'),
    Run('backbones', 'ShuffleNet v1', 'table7/shufflenetv1_140m'),
    Run('backbones', 'MobileNet v2', 'table7/mobilenetv2_140m'),
    Run('backbones', 'ShuffleNetV2', 'lighthead_shufflev2'),
    Run('backbones', 'ShuffleNetV2*', 'lighthead_shufflev2star'),
    Run('pretrained', 'ShuffleNetV2 1x', 'lighthead_shufflev2', '1x'),
    Run('pretrained', 'ShuffleNetV2* 1x', 'lighthead_shufflev2star', '1x'),
)


def make_config(run: Run, weights: str, args: argparse.Namespace) -> Config:
    """The recipe of configs/finetune/ with the run's network, on the given data and size."""
    cfg = Config.fromfile(RECIPE)
    network = Config.fromfile(ROOT / 'configs' / f'{run.source}.py').model
    for part in ('data_preprocessor', 'backbone', 'neck', 'rpn_head'):
        cfg.model[part] = network[part]
    from_scratch(cfg.model)
    if weights:
        cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=weights)
    else:
        cfg.optim_wrapper.paramwise_cfg = None  # nothing is pretrained, so nothing moves slowly
    for key, value in run.changes.items():
        *path, last = key.split('.')
        owner = cfg.model
        for step in path:
            owner = owner[step]
        owner[last] = ConfigDict(value) if isinstance(value, dict) else value
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.num_workers, loader.persistent_workers = 0, False
        for step in loader.dataset.pipeline:
            if step.type == 'Resize':
                step.scale = tuple(args.scale)
    cfg.train_cfg.max_epochs = cfg.train_cfg.val_interval = args.epochs
    cfg.param_scheduler[1].end = cfg.param_scheduler[1].T_max = args.epochs
    cfg.val_evaluator.classwise = True
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    return cfg


def train(run: Run, seed: int, cores: set[int], args: argparse.Namespace) -> dict[str, float]:
    """Train one detector and return its figures.

    Raises:
        RuntimeError: the training failed; its log says why.
    """
    name = f'{run.group}-{run.name}-{seed}'.replace(' ', '_').replace('*', 'star')
    folder = Path(args.out) / 'runs' / name
    folder.mkdir(parents=True, exist_ok=True)
    weights = {'0.5x': args.weights_0_5x, '1x': args.weights_1x, '': None}[run.weights]
    config = folder / 'config.py'
    make_config(run, weights, args).dump(config)
    command = [sys.executable, '-W', 'ignore', str(ROOT / 'tools' / 'train.py'), str(config)]
    command += ['--data-root', args.data_root, '--work-dir', str(folder), '--seed', str(seed)]
    command += ['--resume'] if list(folder.glob('*.pth')) else []
    command += ['--amp'] if args.amp else []
    command += [] if weights else ['--from-scratch']
    with open(folder / 'log.txt', 'a') as log:
        ended = subprocess.run(
            command,
            stdout=log,
            stderr=log,
            env=os.environ | {'OMP_NUM_THREADS': str(len(cores))},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
    if ended.returncode:
        raise RuntimeError(f'{name} ended with exit code {ended.returncode}: see {folder}/log.txt.')
    return read_figures(folder)


def read_figures(folder: Path) -> dict[str, float]:
    """The validation figures of the last epoch, and the median seconds of an iteration."""
    times: list[float] = []
    figures: dict[str, float] = {}
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in map(json.loads, path.read_text().splitlines()):
            if 'loss' in line:
                times.append(line['time'])
            elif 'coco/bbox_mAP' in line:
                figures = {name: line[f'coco/{key}'] for name, key in FIGURES.items()}
    return figures | {'s / iteration': statistics.median(times)}


def print_table(results: list[dict], args: argparse.Namespace) -> None:
    """Means over the seeds, and the least and greatest."""
    table = Table(title=f'{args.epochs} epochs, {args.scale[0]}x{args.scale[1]}')
    for column in ('group', 'run', 'seeds', *FIGURES, 's / iteration'):
        table.add_column(column, no_wrap=True)
    for run in RUNS:
        found = [r for r in results if (r['group'], r['name']) == (run.group, run.name)]
        if not found:
            continue
        cells = []
        for name in FIGURES:
            values = [r[name] for r in found]
            spread = f' ({min(values):.4f}-{max(values):.4f})' if len(values) > 1 else ''
            cells.append(f'{statistics.mean(values):.4f}{spread}')
        seconds = statistics.median(r['s / iteration'] for r in found)
        table.add_row(run.group, run.name, str(len(found)), *cells, f'{seconds:.3f}')
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    groups = tuple(dict.fromkeys(run.group for run in RUNS))
    parser.add_argument('--data-root', required=True, metavar='DIR', help='in COCO layout')
    parser.add_argument('--weights-0-5x', metavar='FILE', help='of a ShuffleNetV2 0.5x')
    parser.add_argument('--weights-1x', metavar='FILE', help='of a ShuffleNetV2 1x')
    parser.add_argument('--groups', nargs='+', choices=groups, default=groups)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--epochs', type=int, default=4)
    parser.add_argument('--scale', nargs=2, type=int, default=[512, 320], metavar=('LONG', 'SHORT'))
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time; they share the cores')
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument('--out', required=True, metavar='DIR')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    os.makedirs(args.out, exist_ok=True)
    path = Path(args.out) / 'results.json'
    results = json.loads(path.read_text()) if path.is_file() else []
    done = {(r['group'], r['name'], r['seed']) for r in results}
    given = {'': True, '0.5x': bool(args.weights_0_5x), '1x': bool(args.weights_1x)}
    waiting = [
        (run, seed)
        for seed in args.seeds
        for run in RUNS
        if run.group in args.groups
        and given[run.weights]
        and (run.group, run.name, seed) not in done
    ]
    cores = sorted(os.sched_getaffinity(0))
    free: Queue[set[int]] = Queue()
    for job in range(args.jobs):
        free.put(set(cores[job :: args.jobs]))
    failures = []

    def work(item: tuple[Run, int]) -> None:
        run, seed = item
        share = free.get()
        try:
            figures = train(run, seed, share, args)
        except RuntimeError as error:
            failures.append(str(error))
            print(error, flush=True)
        else:
            results.append(dict(group=run.group, name=run.name, seed=seed) | figures)
            write_text_file(json.dumps(results, indent=1), path)
            print(results[-1], flush=True)
        finally:
            free.put(share)

    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(work, waiting))
    print_table(results, args)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
