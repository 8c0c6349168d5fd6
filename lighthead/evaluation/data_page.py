"""The page of ``lighthead data check --html``: what is in a data set and what is wrong with it."""

from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np

from lighthead.data.health.anchors import Anchors, best_overlaps, coverage, scaled_boxes
from lighthead.data.health.check import HealthReport
from lighthead.data.health.findings import boxes_by_class
from lighthead.evaluation.contact_sheet import GREY, TILE, labelled_images, labelled_tile
from lighthead.inference.images import ImageError, read_image
from lighthead.report.page import Bars, Chart, Page, Picture, Section, Table

SHOWN = 12
"""Images that are drawn per split, and groups of similar ones."""
MOST_CLASSES, MOST_SIZES = 30, 15


def health_page(report: HealthReport, anchors: Anchors) -> Page:
    """Findings, then tables and pictures."""
    return Page(
        f'Data: {report.data.root.name}',
        facts=[str(report.data), report.lines()[-1]],
        sections=[
            _finding_section(report),
            _class_section(report),
            _image_section(report),
            _box_section(report, anchors),
            *([_similar_section(report)] if report.similar else []),
            *_picture_sections(report),
        ],
    )


def _finding_section(report: HealthReport) -> Section:
    rows = [
        (found.severity, split or 'all', found.text, str(found.count), ', '.join(found.examples))
        for split, findings in report.findings.items()
        for found in findings
    ]
    notes = [note for split in report.data.splits.values() for note in split.notes]
    columns = ('severity', 'split', 'what', 'count', 'examples')
    table = Table('Findings', columns, rows, text_columns=5, marks={'error': 'bad'})
    return Section('Findings', notes, tables=[table] if rows else [])


def _class_section(report: HealthReport) -> Section:
    counts = {name: boxes_by_class(split.content) for name, split in report.data.splits.items()}
    classes = list(dict.fromkeys(name for own in counts.values() for name in own))
    classes.sort(key=lambda name: -sum(own.get(name, 0) for own in counts.values()))
    rows = [(name, *(str(own.get(name, 0)) for own in counts.values())) for name in classes]
    shown = classes[:MOST_CLASSES]
    series = {split: [own.get(name, 0) for name in shown] for split, own in counts.items()}
    chart = Chart(
        'classes',
        f'Boxes per class, the {len(shown)} most frequent classes.',
        [[Bars('', shown, series)]],
        'boxes',
        horizontal=True,
        size=(7.0, 1.5 + 0.3 * len(shown)),
    )
    table = Table('Boxes per class', ('class', *counts), rows)
    return Section('Class balance', charts=[chart] if shown else [], tables=[table])


def _image_section(report: HealthReport) -> Section:
    counts, rows = [], []
    for name, split in report.data.splits.items():
        content = split.content
        labelled = {a['image_id'] for a in content['annotations']}
        images, boxes = len(content['images']), len(content['annotations'])
        broken = sum(scan.size is None for scan in report.scans[name])
        numbers = (images, boxes, sum(i['id'] not in labelled for i in content['images']), broken)
        counts.append((name, *map(str, numbers)))
        sizes = Counter(scan.size for scan in report.scans[name] if scan.size is not None)
        rows += [
            (name, f'{width} x {height}', str(count))
            for (width, height), count in sizes.most_common(MOST_SIZES)
        ]
    columns = ('split', 'images', 'boxes', 'images without boxes', 'broken or missing')
    note = f'The {MOST_SIZES} most frequent sizes of each split.'
    size_table = Table('Image sizes', ('split', 'width x height', 'images'), rows, note, 2)
    return Section('Images', tables=[Table('Counts', columns, counts), size_table])


def _box_section(report: HealthReport, anchors: Anchors) -> Section:
    rows, series = [], dict[str, dict[str, int]]()
    for name, split in report.data.splits.items():
        boxes = np.array(list(scaled_boxes(split.content, anchors.scale))).reshape(-1, 6)
        for size, count, mean, half, most in coverage(boxes, best_overlaps(boxes, anchors)):
            rows.append((name, size, str(count), f'{mean:.2f}', f'{half:.1%}', f'{most:.1%}'))
            series.setdefault(size, {})[name] = count
    order = sorted(series, key=lambda size: float(size.replace('from ', '').split()[0]))
    splits = list(report.data.splits)
    bars = Bars('', order, {s: [series[size].get(s, 0) for size in order] for s in splits})
    long, short = max(anchors.scale), min(anchors.scale)
    note = (
        f'Images scaled to fit {long} x {short}, anchors of {anchors.name}: the best of all '
        'places and shapes. In training an anchor is positive from IoU 0.7, and the best one of '
        'each box in any case; where few boxes reach 0.5, take a larger --img-scale or other '
        'anchors.'
    )
    columns = ('split', 'box size', 'boxes', 'mean best IoU', 'reach 0.5', 'reach 0.7')
    caption = 'Square root of the area of a box, in pixels of the scaled image.'
    chart = Chart('boxes', caption, [[bars]], 'size', 'boxes', size=(7.0, 4.2))
    table = Table('Boxes and anchors', columns, rows, note, 2)
    return Section('Box sizes', charts=[chart] if order else [], tables=[table])


def _similar_section(report: HealthReport) -> Section:
    pictures = []
    for group in report.similar[:SHOWN]:
        tiles = [tile for split, name in group[:2] for tile in _plain(report, split, name)]
        if tiles:
            caption = ' = '.join(f'{split}/{name}' for split, name in group[:4])
            pictures.append(Picture(caption, _jpeg(np.hstack(tiles))))
    note = f'{len(report.similar)} groups of images look the same; two of each are shown.'
    return Section('Images that look the same', [note], pictures=pictures)


def _plain(report: HealthReport, split: str, name: str) -> Iterator[np.ndarray]:
    try:
        image = read_image(report.data.splits[split].img_dir / name)
    except ImageError:
        return
    scale = TILE / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:TILE, :TILE]
    square = np.full((TILE, TILE, 3), GREY, np.uint8)
    square[: small.shape[0], : small.shape[1]] = small
    yield square


def _picture_sections(report: HealthReport) -> Iterator[Section]:
    for name, split in report.data.splits.items():
        pictures = [
            Picture(
                f'{name}, {len(labelled[1])} boxes', _jpeg(labelled_tile(*labelled, split.classes))
            )
            for labelled in labelled_images(split, SHOWN, seed=0)
        ]
        yield Section(f'Some images of {name}', pictures=pictures)


def _jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes()
