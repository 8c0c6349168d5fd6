"""Images of a report, with what is right, wrong and missed in them."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from lighthead.evaluation.analysis.evaluated import Evaluated
from lighthead.evaluation.analysis.outcomes import ImageOutcome, worst_and_best
from lighthead.inference.drawing import draw_detections
from lighthead.inference.images import ImageError, read_image
from lighthead.inference.results import Detections
from lighthead.report.page import Picture, Section

RIGHT, WRONG, MISSED = range(3)
COLOURS = ((60, 160, 40), (50, 50, 220), (0, 165, 255))
"""Green, red, orange (B, G, R) of right, wrong and missed boxes."""
LEGEND = 'Green: right, with its score; red: wrong; orange: a missed object.'
LONG_SIDE = 480
QUALITY = 82
"""Of the JPEG files in a page, which should stay below a few MB."""


def image_section(evaluated: Evaluated, outcomes: list[ImageOutcome], count: int = 8) -> Section:
    """The ``count`` images with the lowest F1, then those with the highest."""
    notes = [LEGEND]
    if evaluated.img_dir is None:
        return Section('Images', ['The folder of the images was not given: --images DIR.'])
    pictures = []
    for title, chosen in zip(('worst', 'best'), worst_and_best(outcomes, count)):
        drawn = list(draw_outcomes(evaluated, chosen, title))
        pictures += drawn
        if len(drawn) < len(chosen):
            unread = len(chosen) - len(drawn)
            notes.append(f'{unread} of the {title} images could not be read.')
    return Section('Worst and best images', notes, pictures=pictures)


def draw_outcomes(
    evaluated: Evaluated, outcomes: Iterable[ImageOutcome], title: str
) -> Iterator[Picture]:
    """A picture of each image that can be read."""
    for outcome in outcomes:
        drawn = draw_outcome(evaluated, outcome)
        if drawn is not None:
            caption = (
                f'{title}: {outcome.image["file_name"]}, F1 {outcome.f1:.2f}: '
                f'{len(outcome.right)} right, {len(outcome.false) + len(outcome.confused)} wrong, '
                f'{len(outcome.missed) + len(outcome.confused)} missed'
            )
            yield Picture(caption, encode_jpeg(drawn))


def draw_outcome(evaluated: Evaluated, outcome: ImageOutcome) -> np.ndarray | None:
    """The image (H, W, 3), BGR, at most :data:`LONG_SIDE` long; None if it cannot be read."""
    if evaluated.img_dir is None:
        return None
    try:
        image = read_image(evaluated.img_dir / outcome.image['file_name'])
    except ImageError:
        return None
    height, width = image.shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    names = {key: category['name'] for key, category in evaluated.coco.cats.items()}
    entries = [(o, MISSED, f'missed {names[o["category_id"]]}') for o in outcome.missed]
    entries += [
        (d, kind, f'{names[d["category_id"]]} {d["score"]:.2f}')
        for kind, found in (
            (WRONG, [*outcome.false, *(d for d, _ in outcome.confused)]),
            (RIGHT, outcome.right),
        )
        for d in found
    ]
    boxes = np.array([e['bbox'] for e, _, _ in entries], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    detections = Detections(
        boxes=boxes * np.float32(scale),
        scores=np.ones(len(entries), np.float32),
        labels=np.array([kind for _, kind, _ in entries], np.int64),
        names=[text for _, _, text in entries],
        image_size=size[::-1],
    )
    return draw_detections(small, detections, with_scores=False, colour_of=COLOURS.__getitem__)


def encode_jpeg(image: np.ndarray) -> bytes:
    """The image as a JPEG file."""
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
