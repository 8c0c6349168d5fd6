"""Sections of a report on a detector: tables and charts of its figures."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from lighthead.evaluation.analysis.evaluated import SIZES, Evaluated
from lighthead.evaluation.analysis.matches import Best, ClassMatches, calibration
from lighthead.evaluation.analysis.tide import KINDS, SPECIAL, ErrorCosts
from lighthead.evaluation.coco_eval import AREAS, PRECISIONS, average_precision, average_recall
from lighthead.report.page import Bars, Chart, Heatmap, Lines, Section, Table

MOST_CURVES = 8
"""Classes with curves of their own, those with most objects; tables have all."""
MOST_CELLS = 20
"""Classes in the drawn confusion matrix."""
MOST_CONFUSIONS = 20
SIZE = (7.0, 4.2)
"""Of a chart, in inches: readable on a phone."""


def figure(value: float | None) -> str:
    """A figure of 0..1 as text; '-' where it is undefined."""
    return '-' if value is None or value < 0 else f'{value:.3f}'


def coco_figures(evaluated: Evaluated) -> dict[str, float]:
    """The twelve figures of COCO's table, -1 where undefined."""
    evaluation = evaluated.evaluation
    figures = {
        name.replace('mAP', 'AP').replace('_', ''): average_precision(evaluation, iou, area)
        for name, (iou, area) in PRECISIONS.items()
    }
    for number, count in enumerate(evaluation.params.maxDets):
        figures[f'AR@{count}'] = average_recall(evaluation, number)
    for area in AREAS[1:]:
        figures[f'AR{area[0]}'] = average_recall(evaluation, area=area)
    return figures


def coco_section(evaluated: Evaluated) -> Section:
    """COCO's table, and AP over IoU."""
    figures = coco_figures(evaluated)
    cells = [evaluated.name, *map(figure, figures.values())]
    table = Table('Figures', ['', *figures], [cells])
    levels = evaluated.evaluation.params.iouThrs
    per_iou = [average_precision(evaluated.evaluation, iou) for iou in levels]
    rows = [[evaluated.name, *map(figure, per_iou)]]
    columns = ['IoU', *(f'{iou:.2f}' for iou in levels)]
    note = (
        'AP is the mean over IoU 0.50 to 0.95; s, m, l: objects below 32 x 32, to 96 x 96, above.'
    )
    iou_table = Table('AP at each IoU', columns, rows, note)
    return Section('COCO figures', tables=[table, iou_table])


def class_section(evaluated: Evaluated, matches: Sequence[ClassMatches]) -> Section:
    """A row per class, with the threshold that maximises its F1."""
    rows = []
    for number, (name, own) in enumerate(zip(evaluated.classes, matches)):
        best, evaluation = own.best(), evaluated.evaluation
        aps = [average_precision(evaluation, iou, 'all', number) for iou in (None, 0.5, 0.75)]
        rows.append((name, str(own.objects), *map(figure, aps), *_best_cells(best)))
    columns = ('class', 'objects', 'AP', 'AP50', 'AP75', 'best F1', 'at score')
    table = Table(
        'Classes',
        (*columns, 'precision', 'recall'),
        rows,
        note=(
            'F1, precision and recall: at IoU 0.5 and the score threshold that maximises F1 of '
            'the class.'
        ),
    )
    return Section('Classes', tables=[table])


def _best_cells(best: Best) -> tuple[str, ...]:
    values = (best.f1, best.threshold, best.precision, best.recall)
    return tuple('-' if best.threshold is None else f'{value:.3f}' for value in values)


def curve_section(
    evaluated: Evaluated, matches: Sequence[ClassMatches], every: ClassMatches
) -> Section:
    """Precision over recall (pycocotools'), and F1, precision and recall over the threshold."""
    order = sorted(range(len(matches)), key=lambda n: -matches[n].objects)
    shown = [n for n in order if matches[n].objects][:MOST_CURVES]
    precision = evaluated.evaluation.eval['precision'][0, :, :, 0, -1]
    recall = evaluated.evaluation.params.recThrs
    pr = {evaluated.classes[n]: list(zip(recall, precision[:, n])) for n in shown}
    f1 = {evaluated.classes[n]: _curve(matches[n], 3) for n in shown}
    if len(evaluated.classes) > 1:
        defined = precision[:, (precision > -1).all(0)]
        pr |= {'mean': list(zip(recall, defined.mean(1)))} if defined.size else {}
        f1['all classes'] = _curve(every, 3)
    both = {'precision': _curve(every, 1), 'recall': _curve(every, 2), 'F1': _curve(every, 3)}
    left_out = sum(m.objects > 0 for m in matches) - len(shown)
    rest = f' {left_out} classes with fewer objects are left out.' if left_out else ''
    charts = [
        _curves(
            'pr', f'Precision over recall at IoU 0.5.{rest}', pr, 'recall', 'precision', 'mean'
        ),
        _curves('f1', f'F1 over the score threshold.{rest}', f1, 'score', 'F1', 'all classes'),
        _curves('thr', 'What a threshold for all classes brings.', both, 'score', '', 'F1'),
    ]
    return Section('Curves', charts=charts)


def _curves(name: str, caption: str, series: dict, xlabel: str, ylabel: str, main: str) -> Chart:
    panel = Lines('', series, main, markers=False, unit_square=True)
    return Chart(name, caption, [[panel]], xlabel, ylabel, size=SIZE)


def _curve(matches: ClassMatches, which: int, points: int = 400) -> list[tuple[float, float]]:
    """A curve of :meth:`ClassMatches.curves` over the threshold, thinned out."""
    curves = matches.curves()
    chosen = np.unique(np.linspace(0, len(curves[0]) - 1, points).astype(int))
    if not len(curves[0]):
        return []
    return [(float(curves[0][i]), float(curves[which][i])) for i in chosen]


def confusion_section(evaluated: Evaluated, matrix: np.ndarray, threshold: float) -> Section:
    """The confusion matrix, with a row and a column for the background."""
    names = [*evaluated.classes, 'background']
    busy = matrix[:-1].sum(1) + matrix[:, :-1].sum(0)
    shown = sorted(np.argsort(-busy, kind='stable')[:MOST_CELLS].tolist()) + [len(names) - 1]
    part = matrix[np.ix_(shown, shown)]
    totals = np.maximum(matrix.sum(1)[shown], 1)
    labels = [names[n] for n in shown]
    panel = Heatmap(
        '',
        labels,
        labels,
        [[count / total for count in row] for row, total in zip(part.tolist(), totals.tolist())],
        [[str(count) if count else '' for count in row] for row in part.tolist()],
    )
    side = 2.5 + 0.45 * len(shown)
    caption = (
        f'Rows are the true classes, columns what was detected at scores from {threshold:.3f}, '
        'IoU from 0.5; colours are shares of the row. Last column: missed; last row: false.'
    )
    size = (max(5.0, side + 1), max(3.5, side))
    chart = Chart('confusion', caption, [[panel]], 'detected', 'true', size=size)
    pairs = [(matrix[t, d], names[t], names[d]) for t, d in np.argwhere(matrix) if t != d]
    rows = [(t, d, str(n)) for n, t, d in sorted(pairs, key=lambda p: -p[0])[:MOST_CONFUSIONS]]
    table = Table('Most frequent confusions', ('true', 'detected', 'count'), rows, text_columns=2)
    return Section('Confusion matrix', charts=[chart], tables=[table] if rows else [])


def error_section(costs: Mapping[str, ErrorCosts]) -> Section:
    """What kinds of errors cost, of one run or of several by name."""
    kinds = [*KINDS, *SPECIAL]
    series = {name: [own.costs[kind] for kind in KINDS] for name, own in costs.items()}
    caption = (
        'Percent of AP (IoU 0.5) that mending all errors of a kind, and only those, would bring.'
    )
    chart = Chart(
        'errors', caption, [[Bars('', list(KINDS), series)]], ylabel='AP lost, %', size=SIZE
    )
    columns = ['kind', 'what it is']
    for name in costs:
        prefix = f'{name}: ' if len(costs) > 1 else ''
        columns += [f'{prefix}AP lost, %', f'{prefix}errors']
    rows = [
        (
            kind,
            KINDS.get(kind, 'all of them'),
            *(c for own in costs.values() for c in _cost_cells(own, kind)),
        )
        for kind in kinds
    ]
    aps = ', '.join(f'{own.ap:.2f} %' for own in costs.values())
    note = f'As TIDE (arXiv 2008.08115) computes it; AP at IoU 0.5, 100 detections an image: {aps}.'
    table = Table('Kinds of errors', columns, rows, note, text_columns=2)
    return Section('Errors', charts=[chart], tables=[table])


def _cost_cells(own: ErrorCosts, kind: str) -> tuple[str, str]:
    return f'{own.costs[kind]:.2f}', str(own.counts.get(kind, '-'))


def size_section(runs: Mapping[str, Evaluated]) -> Section:
    """AP over object size, of one run or of several on the same ground truth."""
    names = [f'{low}-{high}' if high < 1e5 else f'over {low}' for low, high in pairwise(SIZES)]
    first = next(iter(runs.values()))
    counts = [_objects_of_size(first, number) for number in range(len(names))]
    values = {
        name: [
            _defined(average_precision(run.evaluation, None, len(AREAS) + n))
            for n in range(len(names))
        ]
        for name, run in runs.items()
    }
    groups = [f'{name}\n({count})' for name, count in zip(names, counts)]
    caption = (
        'AP by the square root of the area of an object, in pixels; the number of objects below.'
    )
    chart = Chart('sizes', caption, [[Bars('', groups, values)]], ylabel='AP', size=SIZE)
    return Section('Object size', charts=[chart])


def _defined(value: float) -> float | None:
    return None if value < 0 else value


def _objects_of_size(run: Evaluated, number: int) -> int:
    low, high = run.evaluation.params.areaRng[len(AREAS) + number]
    known = set(run.category_ids)
    return sum(
        low <= a['area'] < high and not a['iscrowd'] and a['category_id'] in known
        for a in run.coco.anns.values()
    )


def calibration_section(every: ClassMatches) -> Section:
    """Whether a score of 0.7 is right in 70 % of the cases."""
    rows, error = calibration(every)
    points = [(score, share) for score, share, _ in rows]
    series = {'detector': points, 'ideal': [(0.0, 0.0), (1.0, 1.0)]}
    chart = Chart(
        'calibration',
        'Share of right detections (IoU 0.5) over their score. Expected calibration error: '
        f'{error:.3f}.',
        [[Lines('', series, 'detector', unit_square=True)]],
        'score',
        'share right',
        size=(6.0, 5.0),
    )
    cells = [
        (f'from {int(10 * score) / 10:.1f}', f'{score:.2f}', f'{share:.2f}', str(count))
        for score, share, count in rows
    ]
    table = Table('By score', ('score', 'mean score', 'share right', 'detections'), cells)
    return Section('Calibration', charts=[chart], tables=[table])
