"""Learning from few images: recipes of configs/finetune/ on small sets; one table.

The sets are cut out of coco-people and coco-mini (COCO layout): ``100``, ``300`` and ``971`` are
training images of coco-people with all 80 classes, judged on its validation images; ``three``
(person, car, chair: images with a car or a chair), ``car`` and ``bottle`` are sets of these classes
alone from both folders' training images, judged on both folders' validation images. With
``--choose`` they are judged on 200 training images that no set contains then, to choose by.
Trainings count optimizer steps, so recipes see equally many images. OUT/results.json is written
after each run, and what stands there is not run again; a run that was stopped goes on.

    python benchmarks/finetune.py coco-people coco-mini \
        --weights shufflenetv2_x1_nanodet_plus_coco.pth --out OUT \
        [--names old new] [--sets 100 car] [--seeds 0 1] [--steps 400] [--threads 1]
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from coco_parts import SECOND_SET, joined, of_classes, of_images, parted, read, write
from rich.console import Console
from rich.table import Table

from lighthead.engine.optimizer_steps import STEP_IMAGES, choose_steps
from lighthead.files import write_text_file

ROOT = Path(__file__).resolve().parent.parent
HELD_OUT = 200
"""Training images to choose by."""
FIGURES = {
    'AP': 'coco/bbox_mAP',
    'AP50': 'coco/bbox_mAP_50',
    'AP small': 'coco/bbox_mAP_s',
    'AP large': 'coco/bbox_mAP_l',
    'person AP': 'coco/person_precision',
}
BACKBONE = 'backbone'
"""A recipe's ``init`` that stands for ``--weights``."""
OLD, NEW = 'finetune/lighthead_shufflev2star.py', 'finetune/lighthead_modern.py'


@dataclass(frozen=True)
class Recipe:
    """A way to train.

    Attributes:
        name: What it is called.
        config: Under configs/.
        init: What it starts from: a model's name, or BACKBONE; else what its config says.
        options: Of ``--cfg-options``.
        weights_of: Of which recipe it takes the best weights, instead of a training.
    """

    name: str
    config: str = NEW
    init: str = ''
    options: tuple[str, ...] = ()
    weights_of: str = ''


def shared(share: float) -> Recipe:
    """The new recipe's weights, tested with another share of the RPN's score."""
    option = f'model.roi_head.rpn_weight={share}'
    return Recipe(f'new, RPN score {share}', options=(option,), weights_of='new')


RECIPES = (
    Recipe('old', OLD, init=BACKBONE),
    Recipe('new'),
    Recipe('new, from lighthead-people', init='lighthead-people'),
    Recipe('new, backbone frozen', options=('model.backbone.frozen_stages=3',)),
    Recipe('new, from the backbone alone', init=BACKBONE),
    Recipe('new, rate 5e-4', options=('optim_wrapper.optimizer.lr=5e-4',)),
    Recipe('new, rate 2.5e-4', options=('optim_wrapper.optimizer.lr=2.5e-4',)),
    *map(shared, (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
)


@dataclass(frozen=True)
class SmallSet:
    """A small data set.

    Attributes:
        name: What it is called.
        images: How many training images; None for all that have a class.
        classes: Its classes; empty for all, and coco-people alone.
    """

    name: str
    images: int | None = None
    classes: tuple[str, ...] = ()


SETS = (
    SmallSet('100', 100),
    SmallSet('300', 300),
    SmallSet('971', 971),
    SmallSet('three', classes=('person', 'car', 'chair')),
    SmallSet('car', classes=('car',)),
    SmallSet('bottle', classes=('bottle',)),
)


def cut(chosen: SmallSet, first: Path, second: Path, choose: bool, seed: int) -> tuple[dict, dict]:
    """The training and the validation part of a set; the seed draws its images."""
    people = read(first, 'train')
    held_out, others = parted(people, HELD_OUT, 0)
    val = held_out if choose else read(first, 'val')
    rest = others if choose else people
    if chosen.classes:
        rest = of_classes(joined([rest, read(second, 'train', SECOND_SET)]), chosen.classes)
        val = val if choose else joined([val, read(second, 'val', SECOND_SET)])
        val = of_classes(val, chosen.classes)
        rarer = of_classes(rest, chosen.classes[1:] or chosen.classes)
        own = sorted({a['image_id'] for a in rarer['annotations']})
    else:
        own = sorted(image['id'] for image in rest['images'])
    random.Random(seed).shuffle(own)
    return of_images(rest, set(own[: chosen.images])), val


def write_set(chosen: SmallSet, args: argparse.Namespace, seed: int) -> tuple[Path, int]:
    """The folder of a set, and the number of its training images."""
    kind = 'choose' if args.choose else 'report'
    folder = Path(args.out) / 'data' / f'{chosen.name}-{kind}-{seed}'
    sources = (Path(args.first), Path(args.second))
    train, val = cut(chosen, *sources, args.choose, seed)
    for split, part in (('train', train), ('val', val)):
        write(folder, split, sources, part)
    return folder, len(train['images'])


def command(
    recipe: Recipe, data: Path, images: int, steps: int, seed: int, folder: Path, weights: str
) -> list[str]:
    """A training as a command line."""
    line = [sys.executable, '-W', 'ignore', 'tools/train.py', f'configs/{recipe.config}']
    line += ['--data-root', str(data), '--amp', '--img-scale', '416', '416', '--workers', '0']
    line += ['--seed', str(seed), '--work-dir', str(folder)]
    init = weights if recipe.init == BACKBONE else recipe.init
    line += ['--init', init] if init else []
    line += ['--resume'] if list(folder.glob('*.pth')) else []
    options = ['val_evaluator.classwise=True', *recipe.options]
    if recipe.config == OLD:
        epochs = max(1, round(steps * STEP_IMAGES / images))
        line += ['--epochs', str(epochs)]
        options += [f'train_cfg.val_interval={max(1, round(epochs / 2))}']
    else:
        options += [f'train_cfg.max_steps={steps}', f'train_cfg.val_steps={max(1, steps // 2)}']
    return [*line, '--cfg-options', *options, 'default_hooks.checkpoint.iter_interval=50']


def test(recipe: Recipe, data: Path, checkpoint: Path, folder: Path) -> list[str]:
    """The test of a recipe that takes another's weights, as a command line."""
    line = [sys.executable, '-W', 'ignore', 'tools/test.py', f'configs/{recipe.config}']
    line += [str(checkpoint), '--data-root', str(data), '--img-scale', '416', '416']
    line += ['--workers', '0', '--work-dir', str(folder)]
    return [*line, '--cfg-options', *recipe.options]


def run(recipe: Recipe, chosen: SmallSet, seed: int, args: argparse.Namespace) -> dict:
    """Train or test, and return the figures of the best checkpoint.

    Raises:
        RuntimeError: it failed; its log says why.
    """
    data, images = write_set(chosen, args, seed)
    steps = args.steps or choose_steps(images)
    kind = 'choose' if args.choose else 'report'

    def folder_of(name: str) -> Path:
        name = f'{name}-{chosen.name}-{kind}-{steps}-{seed}'
        return Path(args.out) / 'runs' / name.replace(' ', '_').replace(',', '')

    folder = folder_of(recipe.name)
    if recipe.weights_of:
        line = test(recipe, data, folder_of(recipe.weights_of) / 'best.pth', folder)
    else:
        line = command(recipe, data, images, steps, seed, folder, args.weights)
    before = cpu_seconds()
    start(line, folder, args.threads)
    minutes = (cpu_seconds() - before) / 60
    found = tested_figures(folder) if recipe.weights_of else best_figures(folder)
    label = dict(recipe=recipe.name, set=chosen.name, seed=seed, steps=steps, chosen=args.choose)
    return label | dict(images=images, cpu_minutes=minutes) | found


def start(line: list[str], folder: Path, threads: int) -> None:
    """Run a command to its end, with its output in the folder's log.

    Raises:
        RuntimeError: it failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    variables = os.environ | {'OMP_NUM_THREADS': str(threads)}
    with open(folder / 'log.txt', 'a') as log:
        ended = subprocess.run(line, cwd=ROOT, stdout=log, stderr=log, env=variables)
    if ended.returncode:
        raise RuntimeError(f'{folder.name}: exit code {ended.returncode}, see {folder}/log.txt.')


def cpu_seconds() -> float:
    """Of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tested_figures(folder: Path) -> dict[str, float | None]:
    """The figures of a test."""
    found = json.loads((folder / 'metrics.json').read_text())
    return {name: found.get(key) for name, key in FIGURES.items()}


def best_figures(folder: Path) -> dict[str, float | None]:
    """The validation with the best AP: that of best.pth."""
    lines = [
        json.loads(line)
        for path in sorted(folder.glob('*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
        if 'coco/bbox_mAP"' in line
    ]
    best = max(lines, key=lambda line: line['coco/bbox_mAP'])
    return {name: best.get(key) for name, key in FIGURES.items()}


def print_table(results: list[dict]) -> None:
    """Means over the seeds; the least and greatest AP."""
    table = Table('set', 'images', 'steps', 'judged on', 'recipe', 'seeds', *FIGURES, 'CPU min')
    keys = ('set', 'images', 'steps', 'chosen', 'recipe')
    for row in dict.fromkeys(tuple(r[key] for key in keys) for r in results):
        runs = [r for r in results if tuple(r[key] for key in keys) == row]
        cells = []
        for name in FIGURES:
            values = [r[name] for r in runs if r[name] is not None and r[name] >= 0]
            cells.append(f'{statistics.mean(values):.3f}' if values else '-')
        if len(runs) > 1:
            values = [r['AP'] for r in runs]
            cells[0] += f' ({min(values):.3f}-{max(values):.3f})'
        minutes = statistics.mean(r['cpu_minutes'] for r in runs)
        where = 'hold-out' if row[3] else 'validation'
        first = [row[0], str(row[1]), str(row[2]), where, row[4], str(len(runs))]
        table.add_row(*first, *cells, f'{minutes:.1f}')
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('first', help='coco-people, in COCO layout')
    parser.add_argument('second', help='coco-mini, in COCO layout')
    parser.add_argument('--weights', required=True, metavar='FILE', help='of ShuffleNetV2 1.0x')
    parser.add_argument('--names', nargs='+', choices=[r.name for r in RECIPES])
    parser.add_argument('--sets', nargs='+', choices=[s.name for s in SETS])
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--steps', type=int, help='of 8 images; else by the number of images')
    parser.add_argument('--choose', action='store_true', help='judge on held-out training images')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--out', required=True, metavar='DIR')
    args = parser.parse_args()
    for name in ('first', 'second', 'weights', 'out'):  # trainings start in ROOT
        setattr(args, name, str(Path(getattr(args, name)).resolve()))
    return args


def wanted(args: argparse.Namespace) -> list[tuple[Recipe, SmallSet, int]]:
    """The runs that the command line asks for, by seed, set and recipe."""
    return [
        (recipe, chosen, seed)
        for seed in args.seeds
        for chosen in SETS
        for recipe in RECIPES
        if (args.names is None or recipe.name in args.names)
        and (args.sets is None or chosen.name in args.sets)
    ]


def main() -> int:
    args = parse_args()
    os.makedirs(args.out, exist_ok=True)
    path = Path(args.out) / 'results.json'
    failures = 0
    for recipe, chosen, seed in wanted(args):
        results = json.loads(path.read_text()) if path.is_file() else []
        key = (recipe.name, chosen.name, seed, args.choose)
        same = [r for r in results if (r['recipe'], r['set'], r['seed'], r['chosen']) == key]
        if any(args.steps in (None, r['steps']) for r in same):
            continue
        try:
            result = run(recipe, chosen, seed, args)
        except RuntimeError as error:
            failures += 1
            print(error, flush=True)
            continue
        results = json.loads(path.read_text()) if path.is_file() else []
        write_text_file(json.dumps([*results, result], indent=1), path)
        print(result, flush=True)
    print_table(json.loads(path.read_text()) if path.is_file() else [])
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
