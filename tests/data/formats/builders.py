"""Small data sets on disk, in the forms that labelling tools export."""

import json
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 40, 30
BOX = (4.0, 6.0, 16.0, 12.0)
"""x, y, width, height in pixels of every image below."""
YOLO_LINE = '0.3 0.4 0.4 0.4'
"""The same as fractions: its centre (12, 12) and its size."""
YAML_BOMB = 'a0: &a0 [x, x]\n' + ''.join(
    f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]\n' for n in range(1, 30)
)
"""A few lines whose last name has 10^28 parts."""


def write_image(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """A grey image, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((height, width, 3), 120, np.uint8)
    path.write_bytes(cv2.imencode(path.suffix.lower(), image)[1].tobytes())
    return path


def write_text(path: Path, text: str) -> Path:
    """A text file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')
    return path


def coco_json(names: list[str], categories: tuple[str, ...] = ('cat', 'dog')) -> str:
    """COCO content in which each image has one box of the second category."""
    images = [
        {'id': n, 'file_name': name, 'width': WIDTH, 'height': HEIGHT}
        for n, name in enumerate(names, start=1)
    ]
    annotations = [
        {'id': i['id'], 'image_id': i['id'], 'category_id': 20, 'bbox': list(BOX), 'iscrowd': 0}
        for i in images
    ]
    cats = [{'id': 10 * n, 'name': name} for n, name in enumerate(categories, start=1)]
    return json.dumps({'images': images, 'annotations': annotations, 'categories': cats})


def voc_xml(file_name: str, name: str = 'dog', difficult: int = 0) -> str:
    """One object in VOC's form."""
    x, y, w, h = BOX
    return (
        f'<annotation><filename>{file_name}</filename><object><name>{name}</name>'
        f'<difficult>{difficult}</difficult><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>'
        f'<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object></annotation>'
    )


def labelme_json(image_path: str, shape_type: str = 'rectangle') -> str:
    """One shape in LabelMe's form."""
    x, y, w, h = BOX
    points = {
        'rectangle': [[x + w, y + h], [x, y]],
        'polygon': [[x, y], [x + w, y + h / 2], [x, y + h]],
        'circle': [[x + w / 2, y + h / 2], [x + w / 2, y]],
    }[shape_type]
    shape = {'label': 'dog', 'shape_type': shape_type, 'points': points}
    return json.dumps({'shapes': [shape], 'imagePath': image_path})
