"""Learning curves of a work dir as ``results.png``: losses, learning rate, validation figures."""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from matplotlib.figure import Figure
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from lighthead.files import replacing

FILE = 'results.png'
REWRITE_SECONDS = 60
"""How often the picture is drawn at most while training goes on."""
NO_FIGURES = ('time', 'data_time', 'step', 'iter', 'epoch', 'memory', 'grad_norm')

Curves = Mapping[str, Mapping[int, float]]
"""Values by name, and by iteration (training) or epoch (validation)."""


class CurvesHook(Hook):
    """Draws ``results.png`` after validations, at most once a minute, and at the end.

    It reads what mmengine's LocalVisBackend wrote, of all runs in the work dir,
    so a resumed training has one picture.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._drawn = time.monotonic()

    def after_val_epoch(self, runner: Runner, metrics: Mapping | None = None) -> None:
        """Draw, if the picture is old."""
        if time.monotonic() - self._drawn > REWRITE_SECONDS:
            self.after_train(runner)

    def after_train(self, runner: Runner) -> None:
        """Draw the curves so far; a picture that cannot be written is only a warning."""
        if not is_main_process():
            return
        training, validation = read_curves(runner.work_dir)
        try:
            if training:
                draw_curves(training, validation, Path(runner.work_dir) / FILE)
        except OSError as error:
            runner.logger.warning(f'{FILE} could not be written ({error}).')
        self._drawn = time.monotonic()


def read_curves(work_dir: str | Path) -> tuple[Curves, Curves]:
    """What the runs in ``work_dir`` logged; of an iteration that was trained twice, the newest.

    Returns:
        Training values by iteration, and validation figures by epoch.
    """
    training: dict[str, dict[int, float]] = defaultdict(dict)
    validation: dict[str, dict[int, float]] = defaultdict(dict)
    for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        for entry in _entries(path.read_text(encoding='utf-8').splitlines()):
            curves = training if 'iter' in entry else validation
            for name, value in entry.items():
                if isinstance(value, int | float) and name not in NO_FIGURES:
                    curves[name][int(entry['step'])] = value
    return training, validation


def _entries(lines: Iterable[str]) -> Iterator[dict]:
    """Lines that hold a step; the last one of a killed process may be half a line."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and 'step' in entry:
            yield entry


def draw_curves(training: Curves, validation: Curves, path: Path) -> None:
    """Draw losses and rates by iteration, and validation figures by epoch."""
    panels = {
        'loss': ({k: v for k, v in training.items() if 'loss' in k}, 'iteration'),
        'learning rate': ({k: v for k, v in training.items() if k == 'lr'}, 'iteration'),
        'validation': (
            {k: v for k, v in validation.items() if not k.endswith('_precision')},
            'epoch',
        ),
    }
    figure = Figure(figsize=(15, 4.5), layout='constrained')
    for axes, (title, (curves, unit)) in zip(figure.subplots(1, 3), panels.items()):
        for name, values in curves.items():
            points = sorted((x, y) for x, y in values.items() if y >= 0)  # -1: undefined
            axes.plot(*zip(*points) if points else ([], []), marker='.', label=name)
        axes.set(title=title, xlabel=unit)
        axes.grid(alpha=0.3)
        if len(curves) > 1:
            axes.legend(fontsize='small')
    with replacing(path, sync=False) as file:
        figure.savefig(file, format='png', dpi=100)
