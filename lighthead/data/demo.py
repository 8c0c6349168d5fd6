"""The demo data set: drawn scenes in COCO layout, made anew from a seed.

Small enough to travel with the code and to be learnt from scratch on a CPU in
minutes, yet with what makes detection work: six classes, many objects per
picture, changes of scale, rotation, occlusion, truncation at the border, and
clutter that is none of the classes. ``tools/make_demo_data.py`` writes it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lighthead.data.demo_objects import KINDS, SIZE, Kind, bgr, render

SEED = 2018
COUNTS = {'train': 100, 'val': 32}
IMAGE_SIZES = ((256, 256), (272, 208), (288, 216), (208, 272), (240, 256))
"""(width, height) in pixels."""
SIDES = (28, 72)
"""Shortest and longest side of an object before it is turned, in pixels."""
LEAST_VISIBLE = 0.55
"""Fraction of an object inside the image and not hidden by another, at least."""
JPEG_QUALITY = 86


@dataclass
class Scene:
    """A picture (H, W, 3), uint8 BGR, and its objects as COCO annotations without ids."""

    image: np.ndarray
    objects: list[dict]


def background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A gradient with soft blotches and distractors, (height, width, 3) float32 in 0..1."""
    hue = rng.random()
    corners = [
        bgr(hue + rng.uniform(-0.12, 0.12), rng.uniform(0.1, 0.4), rng.uniform(0.4, 0.95))
        for _ in range(4)
    ]
    grid = np.array(corners, np.float32).reshape(2, 2, 3)
    scene = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
    for cells, light, tint in ((5, 16, 7), (24, 7, 3)):
        noise = rng.normal(0, light, (cells, cells, 1)) + rng.normal(0, tint, (cells, cells, 3))
        blotches = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        scene += blotches.astype(np.float32)
    scene = np.clip(scene, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(6, 13)):
        layer = scene.copy()
        _distract(layer, rng)
        strength = rng.uniform(0.35, 0.9)
        scene = cv2.addWeighted(layer, strength, scene, 1 - strength, 0)
    return scene.astype(np.float32) / 255


def _distract(scene: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a line, a patch, a disc, a ring or a row of bars: shapes that mean nothing."""
    height, width = scene.shape[:2]
    colour = bgr(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.15, 1))
    x, y = int(rng.integers(width)), int(rng.integers(height))
    extent = int(rng.integers(8, 60))
    kind = rng.integers(5)
    if kind == 0:
        end = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.line(scene, (x, y), end, colour, int(rng.integers(1, 8)), cv2.LINE_AA)
    elif kind == 1:
        corners = rng.integers(-extent, extent + 1, (rng.integers(3, 6), 2)) + (x, y)
        cv2.fillConvexPoly(scene, cv2.convexHull(corners.astype(np.int32)), colour, cv2.LINE_AA)
    elif kind in (2, 3):
        radii = (max(extent // 2, 3), max(int(extent * rng.uniform(0.2, 0.5)), 3))
        thickness = -1 if kind == 2 else int(rng.integers(2, 6))
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(scene, (x, y), radii, turn, 0, 360, colour, thickness, cv2.LINE_AA)
    else:
        for number in range(int(rng.integers(3, 7))):
            left = x + number * extent // 4
            cv2.rectangle(scene, (left, y), (left + extent // 8, y + extent), colour, -1)


@dataclass
class Placed:
    """One object on an empty scene.

    ``colour`` (H, W, 3) is premultiplied with ``cover`` (H, W), both 0..1;
    ``area`` counts its pixels as if the scene had no border.
    """

    kind: Kind
    colour: np.ndarray
    cover: np.ndarray
    area: float

    @property
    def mask(self) -> np.ndarray:
        return self.cover >= 0.5


def _place(kind: Kind, rng: np.random.Generator, width: int, height: int) -> Placed:
    """Draw an object at a random place, size, turn and stretch."""
    colour, cover = render(kind, rng)
    side = np.exp(rng.uniform(*np.log(SIDES)))
    stretch = np.exp(rng.uniform(-0.14, 0.14))
    scale = np.array([side * stretch, side / stretch]) / SIZE
    area = (cover >= 0.5).sum() * scale.prod()
    blur = max(1 / scale.min() - 1, 0) * 0.45 + 1e-3  # against aliasing when shrinking
    turn = np.deg2rad(rng.uniform(-kind.turn, kind.turn))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = rotation @ np.diag(scale)
    centre = rng.uniform(0.1, 0.9, 2) * (width, height)
    matrix = np.column_stack([matrix, centre - matrix @ (SIZE / 2, SIZE / 2)])
    colour, cover = (
        cv2.warpAffine(cv2.GaussianBlur(layer, (0, 0), blur), matrix, (width, height))
        for layer in (colour, cover)
    )
    return Placed(kind, colour, cover, area)


def _arrange(
    kinds: Sequence[Kind], rng: np.random.Generator, width: int, height: int
) -> tuple[list[Placed], np.ndarray]:
    """Place one object per kind, later ones in front.

    An object that in twelve places would hide too much of itself or of
    another is left out.

    Returns:
        The objects, and per pixel (H, W) which one is seen: n for the n-th, 0 for none.
    """
    placed: list[Placed] = []
    owner = np.zeros((height, width), np.int32)
    for kind in kinds:
        for _ in range(12):
            objects = [*placed, _place(kind, rng, width, height)]
            trial = np.where(objects[-1].mask, len(objects), owner)
            seen = np.bincount(trial.ravel(), minlength=len(objects) + 1)[1:]
            if all(n >= LEAST_VISIBLE * o.area for n, o in zip(seen, objects, strict=True)):
                placed, owner = objects, trial
                break
    return placed, owner


def _box_of(mask: np.ndarray) -> list[int]:
    """The tight box (x, y, w, h) around a mask (H, W), in pixels."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]


def draw_scene(kinds: Sequence[Kind], rng: np.random.Generator) -> Scene:
    """Draw a scene with one object of each kind named, as far as they find room.

    Boxes and areas are those of what can be seen of each object.
    """
    width, height = IMAGE_SIZES[rng.integers(len(IMAGE_SIZES))]
    picture = background(rng, width, height)
    placed, owner = _arrange(kinds, rng, width, height)
    objects = []
    shift = np.array([[1, 0, 3], [0, 1, 5]], np.float32)
    for number, thing in enumerate(placed, start=1):
        shadow = cv2.GaussianBlur(cv2.warpAffine(thing.cover, shift, (width, height)), (0, 0), 4)
        picture *= 1 - 0.45 * shadow[..., None]
        picture = picture * (1 - thing.cover[..., None]) + thing.colour
        visible = owner == number
        objects.append(
            dict(
                category_id=thing.kind.category_id,
                bbox=_box_of(visible),
                area=int(visible.sum()),
                iscrowd=0,
            )
        )
    return Scene(_photograph(picture, rng), objects)


def _photograph(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, contrast, a soft lens and sensor noise; (H, W, 3) 0..1 to uint8."""
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.7))
    picture = (picture - 0.5) * rng.uniform(0.8, 1.1) + 0.5 + rng.uniform(-0.06, 0.06)
    picture += rng.normal(0, rng.uniform(0.005, 0.02), picture.shape)
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def scene_of(split: str, number: int) -> Scene:
    """The ``number``-th scene of a split, a function of these and the seed alone.

    Every fiftieth training scene is empty. Classes take turns, so that all
    are equally frequent.
    """
    rng = np.random.default_rng([SEED, list(COUNTS).index(split), number])
    if split == 'train' and number % 50 == 49:
        return draw_scene((), rng)
    count = int(rng.integers(6, 11))
    first = [KINDS[number % len(KINDS)]]
    others = [KINDS[i] for i in rng.integers(len(KINDS), size=count - 1)]
    return draw_scene(first + others, rng)


def annotations_of(split: str, scenes: Sequence[Scene]) -> dict:
    """The COCO annotation file's content for a split's scenes."""
    images: list[dict] = []
    annotations: list[dict] = []
    for number, scene in enumerate(scenes, start=1):
        height, width = scene.image.shape[:2]
        images.append(
            dict(id=number, file_name=f'{split}_{number:03d}.jpg', width=width, height=height)
        )
        for thing in scene.objects:
            annotations.append(dict(id=len(annotations) + 1, image_id=number, **thing))
    return dict(
        info=dict(description='Drawn demo data of lighthead', seed=SEED, split=split),
        licenses=[dict(id=1, name='Apache-2.0', url='')],
        images=images,
        annotations=annotations,
        categories=[dict(id=kind.category_id, name=kind.name) for kind in KINDS],
    )


def write_demo(root: str | Path) -> None:
    """Write the whole data set: train/, val/ and annotations/ under ``root``."""
    root = Path(root)
    for split, count in COUNTS.items():
        scenes = [scene_of(split, number) for number in range(count)]
        content = annotations_of(split, scenes)
        (root / split).mkdir(parents=True, exist_ok=True)
        (root / 'annotations').mkdir(exist_ok=True)
        for image, scene in zip(content['images'], scenes, strict=True):
            path = root / split / image['file_name']
            cv2.imwrite(str(path), scene.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (root / 'annotations' / f'instances_{split}.json').write_text(
            json.dumps(content, separators=(',', ':'))
        )
