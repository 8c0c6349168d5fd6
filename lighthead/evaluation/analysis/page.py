"""The report on one detector."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version

from lighthead.evaluation.analysis import sections
from lighthead.evaluation.analysis.evaluated import Evaluated
from lighthead.evaluation.analysis.matches import class_matches, together
from lighthead.evaluation.analysis.outcomes import confusion_matrix, image_outcomes
from lighthead.evaluation.analysis.pictures import image_section
from lighthead.evaluation.analysis.tide import error_costs
from lighthead.report.page import Chart, Lines, Page, Section, Table

Curves = Mapping[str, Mapping[int, float]]
"""Values by name, and by iteration (training) or epoch (validation)."""
GLOSSARY = {
    'AP': 'average precision: the mean of precision over recall 0 to 1, over IoU 0.50 to 0.95 '
    'and over classes (https://cocodataset.org/#detection-eval)',
    'IoU': 'intersection over union: how far two boxes overlap',
    'precision': 'share of the detections that are right',
    'recall': 'share of the objects that are found',
    'F1': 'harmonic mean of precision and recall',
    'background': 'no object: what false detections lie on, and what missed objects are taken for',
}


def report_page(
    evaluated: Evaluated,
    card: Mapping[str, str] | None = None,
    curves: tuple[Curves, Curves] = ({}, {}),
    threshold: float | None = None,
    images: int = 8,
) -> Page:
    """Everything that the detections say, as a page.

    Args:
        card: What is known of the model, for its card.
        curves: Of the training and of its validations.
        threshold: Score from which a detection counts in the confusion matrix and the
            pictures; None takes the one that maximises F1 over all classes.
        images: How many of the worst and of the best.
    """
    matches = class_matches(evaluated.evaluation)
    every = together(matches)
    if threshold is None:
        threshold = every.best().threshold or 0.0
    outcomes = image_outcomes(evaluated, threshold)
    matrix = confusion_matrix(evaluated, outcomes)
    parts = [
        sections.coco_section(evaluated),
        sections.class_section(evaluated, matches),
        sections.curve_section(evaluated, matches, every),
        sections.confusion_section(evaluated, matrix, threshold),
        sections.error_section({evaluated.name: error_costs(evaluated)}),
        sections.size_section({evaluated.name: evaluated}),
        sections.calibration_section(every),
        image_section(evaluated, outcomes, images),
    ]
    parts += training_sections(*curves)
    if card:
        rows = list(card.items())
        parts.append(
            Section('Model card', tables=[Table('Card', ('what', 'value'), rows, text_columns=2)])
        )
    return Page(
        f'Report: {evaluated.name}',
        facts=facts(evaluated, threshold),
        sections=parts,
        glossary_title='Terms',
        glossary=GLOSSARY,
    )


def facts(evaluated: Evaluated, threshold: float) -> list[str]:
    """What was evaluated."""
    crowds = sum(a['iscrowd'] for a in evaluated.coco.anns.values())
    return [
        f'{len(evaluated.coco.imgs)} images, {len(evaluated.coco.anns)} boxes of all classes '
        f'({crowds} of them crowds), {len(evaluated.classes)} evaluated classes, '
        f'{len(evaluated.detections)} detections',
        f'Threshold of matrix and images: score {threshold:.3f}',
        f'Figures by pycocotools {version("pycocotools")}',
    ]


def training_sections(training: Curves, validation: Curves) -> Sequence[Section]:
    """The learning curves, where there are any."""
    losses = {name: values for name, values in training.items() if 'loss' in name}
    rates = {name: values for name, values in training.items() if name == 'lr'}
    scores = {n: v for n, v in validation.items() if not n.endswith('_precision')}
    charts = [
        Chart(
            name, caption, [[Lines('', _points(curves), markers=markers)]], unit, size=sections.SIZE
        )
        for name, caption, curves, unit, markers in (
            ('losses', 'Losses', losses, 'iteration', False),
            ('rate', 'Learning rate', rates, 'iteration', False),
            ('validation', 'Validation', scores, 'epoch', True),
        )
        if curves
    ]
    return [Section('Training', charts=charts)] if charts else []


def _points(curves: Curves) -> dict[str, list[tuple[float, float]]]:
    """Points of each curve without undefined values, which are -1."""
    return {
        name: [(step, value) for step, value in values.items() if value >= 0]
        for name, values in curves.items()
    }
