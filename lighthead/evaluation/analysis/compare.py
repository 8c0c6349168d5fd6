"""Two runs on the same ground truth, side by side: what got better and what got worse."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from lighthead.errors import UserError
from lighthead.evaluation.analysis.evaluated import Evaluated
from lighthead.evaluation.analysis.matches import class_matches, together
from lighthead.evaluation.analysis.outcomes import ImageOutcome, image_outcomes
from lighthead.evaluation.analysis.page import GLOSSARY
from lighthead.evaluation.analysis.pictures import LEGEND, draw_outcome, encode_jpeg
from lighthead.evaluation.analysis.sections import (
    coco_figures,
    error_section,
    figure,
    size_section,
)
from lighthead.evaluation.analysis.tide import error_costs
from lighthead.evaluation.coco_eval import average_precision
from lighthead.report.page import Page, Picture, Section, Table

LEAST = 0.0005
"""Smaller differences are not coloured."""
MOST_IMAGES = 6
"""Pictures of images that changed most, in each direction."""
MOST_ROWS = 50


def comparison_page(first: Evaluated, second: Evaluated, threshold: float | None = None) -> Page:
    """The page; differences are second minus first.

    Args:
        threshold: As in :func:`lighthead.evaluation.analysis.page.report_page`; None takes
            each run's own best.

    Raises:
        UserError: the two were not evaluated on the same classes.
    """
    if first.classes != second.classes:
        raise UserError('The two runs know different classes: they cannot be compared.')
    if first.name == second.name:
        second.name += ' (2)'
    runs = (first, second)
    outcomes, notes = [], []
    for run in runs:
        own = together(class_matches(run.evaluation)).best().threshold or 0.0
        own = own if threshold is None else threshold
        outcomes.append(image_outcomes(run, own))
        notes.append(f'{run.name}: images at scores from {own:.3f}')
    return Page(
        f'{first.name} and {second.name}',
        facts=[f'{len(first.coco.imgs)} images, {len(first.classes)} classes', *notes],
        sections=[
            _figure_section(*runs),
            _class_section(*runs),
            error_section({run.name: error_costs(run) for run in runs}),
            size_section({run.name: run for run in runs}),
            _image_section(runs, outcomes),
        ],
        glossary_title='Terms',
        glossary=GLOSSARY,
    )


def _figure_section(first: Evaluated, second: Evaluated) -> Section:
    before, after = coco_figures(first), coco_figures(second)
    rows = [(name, before[name], after[name]) for name in before]
    return Section('Figures', tables=[_differences('COCO figures', 'figure', rows, first, second)])


def _class_section(first: Evaluated, second: Evaluated) -> Section:
    aps = [
        [average_precision(run.evaluation, None, 'all', n) for n in range(len(run.classes))]
        for run in (first, second)
    ]
    rows = sorted(zip(first.classes, *aps), key=lambda row: row[2] - row[1])
    return Section('Classes', tables=[_differences('AP per class', 'class', rows, first, second)])


def _differences(
    title: str,
    what: str,
    rows: Sequence[tuple[str, float, float]],
    first: Evaluated,
    second: Evaluated,
) -> Table:
    cells, marks = [], dict[str, Literal['good', 'bad']]()
    for name, before, after in rows:
        text = '-' if min(before, after) < 0 else f'{after - before:+.3f}'
        if text != '-' and abs(after - before) > LEAST:
            marks[text] = _mark(before, after)
        cells.append((name, figure(before), figure(after), text))
    columns = (what, first.name, second.name, 'difference')
    return Table(title, columns, cells, marks=marks)


def _mark(before: float, after: float) -> Literal['good', 'bad']:
    return 'good' if after > before else 'bad'


def _image_section(
    runs: Sequence[Evaluated], outcomes: Sequence[Sequence[ImageOutcome]]
) -> Section:
    pairs = [(a, b) for a, b in zip(*outcomes) if a.f1 != b.f1]
    pairs.sort(key=lambda pair: pair[1].f1 - pair[0].f1)
    chosen = [*pairs[:MOST_ROWS], *pairs[MOST_ROWS:][-MOST_ROWS:]]
    marks = {f'{b.f1 - a.f1:+.2f}': _mark(a.f1, b.f1) for a, b in chosen}
    rows = [
        (a.image['file_name'], f'{a.f1:.2f}', f'{b.f1:.2f}', f'{b.f1 - a.f1:+.2f}')
        for a, b in chosen
    ]
    columns = ('image', *(f'F1 {run.name}' for run in runs), 'difference')
    worse = [pair for pair in pairs if pair[1].f1 < pair[0].f1]
    better = [pair for pair in pairs if pair[1].f1 > pair[0].f1]
    notes = [f'{len(worse)} images got worse, {len(better)} better, the others stayed.', LEGEND]
    pictures = []
    for title, changed in (('worse', worse[:MOST_IMAGES]), ('better', better[::-1][:MOST_IMAGES])):
        pictures += [p for pair in changed if (p := _picture(runs, pair, title)) is not None]
    table = Table('Images that changed most', columns, rows, marks=marks)
    return Section('Images', notes, pictures=pictures, tables=[table] if rows else [])


def _picture(
    runs: Sequence[Evaluated], pair: tuple[ImageOutcome, ImageOutcome], title: str
) -> Picture | None:
    """Both runs' drawings next to each other; None where the image cannot be read."""
    left, right = (draw_outcome(run, outcome) for run, outcome in zip(runs, pair))
    if left is None or right is None:
        return None
    caption = (
        f'{title}: {pair[0].image["file_name"]}; left {runs[0].name}, F1 {pair[0].f1:.2f}, '
        f'right {runs[1].name}, {pair[1].f1:.2f}'
    )
    return Picture(caption, encode_jpeg(np.hstack([left, right])))
