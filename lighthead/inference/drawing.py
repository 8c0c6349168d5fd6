"""Boxes with class names and scores, drawn to be read on pictures of any size.

Text is rendered with DejaVu Sans, which comes with matplotlib (a dependency of
mmdet), so that no font of the system is needed. A name in a script that this
font lacks is drawn with a font of the system that has it, and otherwise as the
number of its class.
"""

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np
from matplotlib import font_manager, ft2font
from PIL import Image, ImageDraw, ImageFont

from lighthead.inference.results import Detections

GOLDEN_RATIO = 0.618034
"""Steps of this share of the colour circle keep neighbouring labels far apart."""
DEFAULT_FONT = str(Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf')


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
    """A colour (B, G, R) for a class: the same in every picture, distinct from its neighbours'."""
    hue = (0.02 + label * GOLDEN_RATIO) % 1
    saturation, value = ((0.85, 0.95), (0.6, 1.0), (0.95, 0.7))[label // 8 % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(blue * 255), round(green * 255), round(red * 255)


def draw_detections(image: np.ndarray, detections: Detections) -> np.ndarray:
    """A copy of a BGR picture (H, W, 3) with the detections drawn into it.

    Line width and text grow with the picture. Labels stay inside it and out of
    each other's way where there is room; the best detections choose first.
    """
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    reach = (height * width) ** 0.5
    line = max(1, round(reach / 320))
    font_size = max(10, round(reach / 42))
    corners = [_pixel_box(box, width, height) for box in detections.boxes]
    order = range(len(detections))
    for index in reversed(order):  # the best on top
        x1, y1, x2, y2 = corners[index]
        colour = class_colour(int(detections.labels[index]))
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, line)
    taken: list[Rect] = []
    for index in order:
        label = int(detections.labels[index])
        text = f'{detections.names[index]} {detections.scores[index]:.2f}'
        mask = _text_mask(text, f'#{label} {detections.scores[index]:.2f}', font_size)
        place = _place(corners[index], mask.shape, line, canvas.shape, taken)
        taken.append(place)
        _paint_label(canvas, place, mask, class_colour(label))
    return canvas


def _pixel_box(box: np.ndarray, width: int, height: int) -> Rect:
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    return Rect(
        *(min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)),
        *(min(max(x2, 0), width - 1), min(max(y2, 0), height - 1)),
    )


def _place(
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
    places = [
        Rect(x, y, x + width, y + height)
        for y in tops
        for x in (left, right)
        if y >= 0 and y + height <= canvas[0]
    ]
    free = [place for place in places if not any(place.overlaps(other) for other in taken)]
    top = min(max(tops[0], 0), max(canvas[0] - height, 0))
    return next(iter(free or places), Rect(left, top, left + width, top + height))


def _paint_label(
    canvas: np.ndarray, place: Rect, mask: np.ndarray, colour: tuple[int, int, int]
) -> None:
    """Fill the label with its class's colour and blend the text in, black or white."""
    region = canvas[place.y1 : place.y2, place.x1 : place.x2]
    blue, green, red = colour
    text = 0 if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else 255
    weight = mask[: region.shape[0], : region.shape[1], None]
    region[:] = (weight * text + (1 - weight) * np.array(colour) + 0.5).astype(np.uint8)


@lru_cache(maxsize=1024)
def _text_mask(text: str, fallback: str, font_size: int) -> np.ndarray:
    """Coverage (h, w) in 0..1 of a line of text with a margin."""
    path = _font_for(text)
    if path is None:
        text, path = fallback, DEFAULT_FONT
    font = ImageFont.truetype(path, font_size)
    margin = max(2, font_size // 6)
    ascent, descent = font.getmetrics()
    size = (round(font.getlength(text)) + 2 * margin, ascent + descent + margin)
    picture = Image.new('L', size)
    ImageDraw.Draw(picture).text((margin, margin // 2), text, fill=255, font=font)
    return np.asarray(picture, np.float32) / 255


def _font_for(text: str) -> str | None:
    """File of a font that has all characters of ``text``; None where there is none."""
    wanted = frozenset(ord(character) for character in text if not character.isspace())
    return _font_with(wanted)


@lru_cache(maxsize=1024)
def _font_with(wanted: frozenset[int]) -> str | None:
    # matplotlib's LastResort font claims every character and shows a frame for it.
    if wanted <= _characters(DEFAULT_FONT):
        return DEFAULT_FONT
    files = {entry.fname for entry in font_manager.fontManager.ttflist}
    real = sorted(file for file in files if 'LastResort' not in Path(file).name)
    return next((file for file in real if wanted <= _characters(file)), None)


@lru_cache(maxsize=256)
def _characters(path: str) -> frozenset[int]:
    """Code points that a font file has glyphs for; none where it cannot be read."""
    try:
        return frozenset(ft2font.FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
