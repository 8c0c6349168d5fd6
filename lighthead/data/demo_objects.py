"""The things that the demo data set shows, drawn with OpenCV on square canvases."""

import colorsys
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

SIZE = 256
"""Side of a canvas in pixels. Objects fill it nearly, and are scaled down into scenes."""
CENTRE = SIZE // 2
BLACK, WHITE = (25, 22, 20), (250, 250, 250)

Point = tuple[float, float]
Colour = tuple[float, float, float]


def bgr(hue: float, saturation: float, value: float) -> Colour:
    """Colour for OpenCV from hue, saturation and value in 0..1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(saturation, 1), min(value, 1))
    return 255 * blue, 255 * green, 255 * red


class Canvas:
    """Colours (SIZE, SIZE, 3), multiplied with coverage, and coverage (SIZE, SIZE), 0..255."""

    def __init__(self) -> None:
        self.colour = np.zeros((SIZE, SIZE, 3), np.uint8)
        self.cover = np.zeros((SIZE, SIZE), np.uint8)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        corners = [np.round(points).astype(np.int32)]
        cv2.fillPoly(self.colour, corners, colour, cv2.LINE_AA)
        cv2.fillPoly(self.cover, corners, 255, cv2.LINE_AA)

    def ellipse(
        self,
        centre: Point,
        radii: Point,
        colour: Colour,
        angle: float = 0,
        arc: Point = (0, 360),
        thickness: int = -1,
    ) -> None:
        shape = (_whole(centre), _whole(radii), angle, *arc)
        cv2.ellipse(self.colour, *shape, colour, thickness, cv2.LINE_AA)
        cv2.ellipse(self.cover, *shape, 255, thickness, cv2.LINE_AA)

    def line(self, start: Point, end: Point, colour: Colour, thickness: int) -> None:
        cv2.line(self.colour, _whole(start), _whole(end), colour, thickness, cv2.LINE_AA)
        cv2.line(self.cover, _whole(start), _whole(end), 255, thickness, cv2.LINE_AA)


def _whole(point: Point) -> tuple[int, int]:
    return round(point[0]), round(point[1])


def around(angle: float, radius: float, centre: Point = (CENTRE, CENTRE)) -> Point:
    """The point at an angle (radians, clockwise from the right) and distance."""
    return centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)


def ladybird(canvas: Canvas, rng: np.random.Generator) -> None:
    for side in (-1, 1):
        for along in (-45, 5, 50):
            start = (CENTRE + along, CENTRE + 60 * side)
            canvas.line(start, (CENTRE + along * 1.3, CENTRE + 112 * side), BLACK, 9)
        canvas.line((210, CENTRE), (246, CENTRE + 38 * side), BLACK, 6)
    canvas.ellipse((205, CENTRE), (36, 46), BLACK)
    canvas.ellipse((CENTRE - 10, CENTRE), (100, 88), bgr(rng.uniform(-0.02, 0.04), 0.92, 0.9))
    canvas.line((20, CENTRE), (215, CENTRE), BLACK, 7)
    radius = rng.uniform(14, 20)
    for along, across in ((-60, 38), (-10, 56), (40, 36)):
        for side in (-1, 1):
            canvas.ellipse((CENTRE + along, CENTRE + across * side), (radius, radius), BLACK)
    for side in (-1, 1):
        canvas.ellipse((216, CENTRE + 26 * side), (9, 9), WHITE)


def beach_ball(canvas: Canvas, rng: np.random.Generator) -> None:
    hues = rng.permutation([0.0, 0.14, 0.35, 0.6])[:3]
    pole = around(rng.uniform(0, 2 * math.pi), 38)
    for number in range(6):
        colour = WHITE if number % 2 else bgr(hues[number // 2], 0.9, 0.95)
        angles = np.linspace(number, number + 1, 16) * math.pi / 3
        canvas.polygon([pole, *(around(angle, 118) for angle in angles)], colour)
    canvas.ellipse(pole, (17, 17), WHITE)
    canvas.ellipse((CENTRE, CENTRE), (118, 118), (90, 90, 90), thickness=3)


def sunflower(canvas: Canvas, rng: np.random.Generator) -> None:
    petals = int(rng.integers(13, 18))
    for ring, (distance, value) in enumerate(((82, 0.85), (74, 1.0))):
        for number in range(petals):
            turn = (number + ring / 2) / petals * 2 * math.pi
            colour = bgr(rng.uniform(0.11, 0.15), 0.95, value)
            canvas.ellipse(around(turn, distance), (42, 14), colour, math.degrees(turn))
    canvas.ellipse((CENTRE, CENTRE), (58, 58), bgr(0.07, 0.75, 0.33))
    for number in range(70):
        spot = around(number * 2.39996, 6.4 * math.sqrt(number))
        canvas.ellipse(spot, (3, 3), bgr(0.09, 0.7, 0.3 + 0.25 * (number % 2)))


def traffic_light(canvas: Canvas, rng: np.random.Generator) -> None:
    housing = bgr(0.58, 0.2, rng.uniform(0.16, 0.3))
    for y in (62, 128, 194):
        canvas.polygon([(30, y - 24), (226, y - 24), (180, y + 24), (76, y + 24)], housing)
    canvas.polygon([(74, 8), (182, 8), (190, 20), (190, 236), (182, 248), (74, 248)], housing)
    canvas.polygon([(74, 8), (66, 20), (66, 236), (74, 248), (90, 128)], housing)
    lit = int(rng.integers(3))
    for number, (y, hue) in enumerate(((52, 0.0), (128, 0.12), (204, 0.38))):
        value = 1.0 if number == lit else 0.42
        canvas.ellipse((CENTRE, y), (35, 35), (12, 12, 12))
        canvas.ellipse((CENTRE, y), (30, 30), bgr(hue, 0.95, value))
        if number == lit:
            canvas.ellipse((CENTRE - 7, y - 8), (13, 12), bgr(hue, 0.35, 1))


def star(canvas: Canvas, rng: np.random.Generator) -> None:
    hue = rng.choice([0.92, 0.84]) + rng.uniform(-0.015, 0.015)
    corners = [
        around(-math.pi / 2 + number * math.pi / 5, 52 if number % 2 else 122, (CENTRE, 138))
        for number in range(10)
    ]
    for number in range(10):
        value = 1.0 if number % 2 else 0.66
        canvas.polygon(
            [(CENTRE, 138), corners[number], corners[(number + 1) % 10]], bgr(hue, 0.8, value)
        )
    for number in range(10):
        canvas.line(corners[number], corners[(number + 1) % 10], bgr(hue, 0.9, 0.4), 6)


def chessboard(canvas: Canvas, rng: np.random.Generator) -> None:
    frame = bgr(rng.uniform(0.05, 0.09), 0.7, 0.42)
    dark = bgr(rng.choice([0.07, 0.1]), 0.4, rng.uniform(0.15, 0.3))
    canvas.polygon([(14, 14), (242, 14), (242, 242), (14, 242)], frame)
    cells, start = 6, 29
    side = (SIZE - 2 * start) / cells
    for row in range(cells):
        for column in range(cells):
            x, y = start + column * side, start + row * side
            colour = dark if (row + column) % 2 else bgr(0.12, 0.15, 0.97)
            canvas.polygon([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], colour)


@dataclass(frozen=True)
class Kind:
    """A class of the demo set: how it is drawn, how far it turns (degrees), its look in 3-D."""

    name: str
    category_id: int
    draw: Callable[[Canvas, np.random.Generator], None]
    turn: float
    round: bool = False


KINDS = (  # ids with gaps, as COCO's are
    Kind('ladybird', 1, ladybird, 180, round=True),
    Kind('beach ball', 2, beach_ball, 180, round=True),
    Kind('sunflower', 4, sunflower, 180),
    Kind('traffic light', 11, traffic_light, 12),
    Kind('star', 16, star, 30),
    Kind('chessboard', 42, chessboard, 40),
)


def render(kind: Kind, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw one object, with shading and a grain of its own.

    Returns:
        Colour times coverage (SIZE, SIZE, 3) in BGR and coverage (SIZE, SIZE),
        both float32 in 0..1.
    """
    canvas = Canvas()
    kind.draw(canvas, rng)
    rows, columns = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    if kind.round:  # lit from the upper left
        shade = 1.15 - 0.55 * ((columns + 0.35) ** 2 + (rows + 0.35) ** 2) / 2
    else:
        shade = 1 - 0.14 * (columns + rows) / 2
    grain = cv2.resize(rng.normal(0, 1, (20, 20)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    cover = canvas.cover.astype(np.float32) / 255
    colour = canvas.colour.astype(np.float32) / 255 * (shade + 0.03 * grain)[..., None]
    colour = np.clip(colour, 0, cover[..., None]).astype(np.float32)
    return colour, cover
