"""Many labelled images on one picture: ``lighthead data show``."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from lighthead.data.clean import clean_boxes
from lighthead.data.formats.labelled import LabelledSplit
from lighthead.data.formats.writers import boxes_by_image
from lighthead.errors import UserError
from lighthead.files import write_bytes_file
from lighthead.inference.drawing import draw_detections
from lighthead.inference.images import ImageError, read_image
from lighthead.inference.results import Detections

TILE = 320
"""Pixels of a tile's side."""
GREY = 235

Labelled = tuple[np.ndarray, np.ndarray, np.ndarray]
"""An image (H, W, 3) in BGR, boxes (N, 4) as x1, y1, x2, y2 in its pixels, and labels (N,)."""


def labelled_images(split: LabelledSplit, count: int, seed: int) -> Iterator[Labelled]:
    """``count`` images of a split, chosen by the seed; unreadable ones are passed over."""
    content, _ = clean_boxes(split.content)
    boxes = boxes_by_image(content)
    labels = {category['id']: n for n, category in enumerate(content['categories'])}
    images = list(content['images'])
    random.Random(seed).shuffle(images)
    drawn = 0
    for image in images:
        if drawn == count:
            return
        try:
            pixels = read_image(split.img_dir / image['file_name'])
        except ImageError:
            continue
        drawn += 1
        entries = boxes.get(image['id'], [])
        corners = np.array([entry['bbox'] for entry in entries], np.float32).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        yield pixels, corners, np.array([labels[entry['category_id']] for entry in entries], int)


def write_sheet(images: Iterable[Labelled], classes: Sequence[str], path: Path) -> Path:
    """Draw images with their boxes side by side, and write the sheet.

    Raises:
        UserError: there is no image, or the sheet cannot be written.
    """
    tiles = [labelled_tile(*labelled, classes) for labelled in images]
    if not tiles:
        raise UserError('There is no readable image to show.')
    sheet = side_by_side(tiles, int(np.ceil(len(tiles) ** 0.5)))
    try:
        encoded, data = cv2.imencode(path.suffix.lower() or '.jpg', sheet)
        if not encoded:
            raise UserError(f'{path}: OpenCV cannot write this format.')
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_file(data.tobytes(), path)
    except cv2.error as error:
        raise UserError(f'{path}: use a name that ends in .jpg or .png.') from error
    except OSError as error:
        raise UserError(f'{path} cannot be written ({error.strerror}).') from error
    return path


def side_by_side(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Tiles in rows of ``columns``, the last row filled up with grey."""
    tiles = [*tiles, *[np.full_like(tiles[0], GREY)] * (-len(tiles) % columns)]
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return np.vstack(rows)


def labelled_tile(
    image: np.ndarray, boxes: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> np.ndarray:
    """One image with its labelled boxes, scaled into a square."""
    scores = np.ones(len(boxes), np.float32)
    size = image.shape[0], image.shape[1]
    return tile(image, Detections.from_arrays(boxes, scores, labels, classes, size), False)


def tile(image: np.ndarray, detections: Detections, with_scores: bool = True) -> np.ndarray:
    """One image (H, W, 3) with boxes in its pixels, scaled into a square of :data:`TILE`."""
    height, width = image.shape[:2]
    scale = TILE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = replace(detections, boxes=detections.boxes * np.float32(scale), image_size=size[::-1])
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    square = np.full((TILE, TILE, 3), GREY, np.uint8)
    square[: size[1], : size[0]] = draw_detections(small, scaled, with_scores)
    return square
