"""Boxes with class names and scores, drawn to be read on images of any size."""

import colorsys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from lighthead.inference.text import text_mask

if TYPE_CHECKING:
    from lighthead.inference.results import Detections

GOLDEN_RATIO = 0.618034
"""Steps of this share of the colour circle keep neighbouring labels far apart."""


class Rect(NamedTuple):
    """Pixels from (x1, y1) up to, not including, (x2, y2)."""

    x1: int
    y1: int
    x2: int
    y2: int

    def overlaps(self, other: 'Rect') -> bool:
        """Whether the two share a pixel."""
        return (
            self.x1 < other.x2 and other.x1 < self.x2 and self.y1 < other.y2 and other.y1 < self.y2
        )


def class_colour(label: int) -> tuple[int, int, int]:
    """A colour (B, G, R) for a class: the same in every image, distinct from its neighbours'."""
    hue = (0.02 + label * GOLDEN_RATIO) % 1
    saturation, value = ((0.85, 0.95), (0.6, 1.0), (0.95, 0.7))[label // 8 % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(blue * 255), round(green * 255), round(red * 255)


def draw_detections(
    image: np.ndarray,
    detections: 'Detections',
    with_scores: bool = True,
    colour_of: Callable[[int], tuple[int, int, int]] = class_colour,
) -> np.ndarray:
    """A copy of a BGR image (H, W, 3) with the detections drawn into it.

    Line width and text grow with the image. Labels stay inside it and do not cover
    each other where there is room; detections with higher scores are placed first.
    ``colour_of`` gives the colour (B, G, R) of a label.
    """
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    reach = (height * width) ** 0.5
    line = max(1, round(reach / 320))
    font_size = max(10, round(reach / 42))
    corners = [_pixel_box(box, width, height) for box in detections.boxes]
    order = range(len(detections))
    for index in reversed(order):  # the highest score on top
        x1, y1, x2, y2 = corners[index]
        colour = colour_of(int(detections.labels[index]))
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, line)
    taken: list[Rect] = []
    for index in order:
        label = int(detections.labels[index])
        track = '' if detections.track_ids is None else f' {detections.track_ids[index]}'
        ending = f'{track} {detections.scores[index]:.2f}' if with_scores else track
        mask = text_mask(f'{detections.names[index]}{ending}', f'#{label}{ending}', font_size)
        position = _label_position(corners[index], mask.shape, line, canvas.shape, taken)
        taken.append(position)
        _paint_label(canvas, position, mask, colour_of(label))
    return canvas


def _pixel_box(box: np.ndarray, width: int, height: int) -> Rect:
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    return Rect(
        *(min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)),
        *(min(max(x2, 0), width - 1), min(max(y2, 0), height - 1)),
    )


def _label_position(
    box: Rect,
    size: tuple[int, ...],
    line: int,
    canvas: tuple[int, ...],
    taken: Sequence[Rect],
) -> Rect:
    """Where a label of ``size`` (height, width) goes: above its box, inside it, or below it."""
    height, width = size
    half = line // 2
    left = min(max(box.x1 - half, 0), max(canvas[1] - width, 0))
    right = min(max(box.x2 + half + 1 - width, 0), max(canvas[1] - width, 0))
    inside = [box.y1 + half + 1 + row * height for row in range(4)]
    tops = (box.y1 - half - height, *inside, box.y2 + half + 1)
    positions = [
        Rect(x, y, x + width, y + height)
        for y in tops
        for x in (left, right)
        if y >= 0 and y + height <= canvas[0]
    ]
    free = [rect for rect in positions if not any(rect.overlaps(other) for other in taken)]
    top = min(max(tops[0], 0), max(canvas[0] - height, 0))
    return next(iter(free or positions), Rect(left, top, left + width, top + height))


def _paint_label(
    canvas: np.ndarray, position: Rect, mask: np.ndarray, colour: tuple[int, int, int]
) -> None:
    """Fill the label with its class's colour and blend the text in, black or white."""
    region = canvas[position.y1 : position.y2, position.x1 : position.x2]
    blue, green, red = colour
    text = 0 if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else 255
    weight = mask[: region.shape[0], : region.shape[1], None]
    region[:] = (weight * text + (1 - weight) * np.array(colour) + 0.5).astype(np.uint8)
