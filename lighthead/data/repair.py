"""A cleaned copy of a data set: what ``lighthead data check --fix OUT`` writes."""

from dataclasses import replace
from pathlib import Path

from lighthead.data.clean import clean_boxes
from lighthead.data.formats.labelled import LabelledData, LabelledSplit
from lighthead.data.formats.writers import write_dataset
from lighthead.data.health.check import HealthReport

FORMS = {'COCO': 'coco', 'YOLO': 'yolo', 'Pascal VOC': 'voc', 'LabelMe': 'coco'}
"""The form in which a copy is written, by the format that was read."""


def write_repaired(report: HealthReport, out: Path) -> list[str]:
    """Write a copy without broken images and useless boxes, with the true image sizes.

    Images that look the same as one of an earlier split are left out of the later one.

    Returns:
        What was left out or changed, for the user.

    Raises:
        UserError: ``out`` is not an empty folder, or cannot be written.
    """
    seen: set[tuple[str, str]] = set()
    for group in report.similar:
        first = group[0][0]
        seen |= {(split, name) for split, name in group if split != first}
    splits, notes = {}, []
    for name, split in report.data.splits.items():
        splits[name], dropped, boxes = _repaired(report, name, split, seen)
        notes.append(f'{name}: {dropped} images left out; {boxes}')
    data = LabelledData(report.data.root, report.data.format, splits)
    return notes + write_dataset(data, out, FORMS[report.data.format])


def _repaired(
    report: HealthReport, name: str, split: LabelledSplit, seen: set[tuple[str, str]]
) -> tuple[LabelledSplit, int, str]:
    images = [
        {**image, 'width': scan.size[0], 'height': scan.size[1]}
        for image, scan in zip(split.content['images'], report.scans[name], strict=True)
        if scan.size is not None and (name, image['file_name']) not in seen
    ]
    ids = {image['id'] for image in images}
    kept = [a for a in split.content['annotations'] if a['image_id'] in ids]
    content, boxes = clean_boxes({**split.content, 'images': images, 'annotations': kept})
    dropped = len(split.content['images']) - len(images)
    return replace(split, content=content, ann_file=None), dropped, str(boxes)
