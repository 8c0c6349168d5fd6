"""AP and seconds per image of a detector, on a data set in COCO layout."""

import json
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.logging import MMLogger

from lighthead.data.clean import load_coco_json
from lighthead.data.find_splits import Split, find_splits
from lighthead.errors import UserError
from lighthead.evaluation import CocoDetMetric
from lighthead.inference.detector import Detector
from lighthead.inference.images import read_image

WARM_UP = 2
"""Images that do not count, for the time."""


@dataclass(frozen=True)
class Measured:
    """AP (0..1), AP at IoU 0.5, and the median seconds per image from decoded image to boxes."""

    ap: float
    ap_50: float
    seconds: float


def validation_split(root: str | Path) -> Split:
    """The split of ``--data-root`` on which AP is computed.

    Raises:
        UserError: there is none.
    """
    layout = find_splits(root)
    split = layout.val or layout.train
    if split is None:
        raise UserError(f'--data-root {root} has no annotated images.')
    return split


def measure(
    detectors: dict[str, Detector], split: Split, limit: int | None = None
) -> dict[str, Measured]:
    """Run several detectors over the same images, in turn, image by image.

    Args:
        detectors: By name; their ``score_thr`` should be 0.
        limit: Only so many images; None takes all.
    """
    content = _first_images(load_coco_json(split.ann_file), limit)
    images = content['images']
    found: dict[str, list[dict]] = {name: [] for name in detectors}
    times: dict[str, list[float]] = {name: [] for name in detectors}
    for number, info in enumerate(images):
        image = read_image(split.img_dir / info['file_name'])
        order = list(detectors)[:: -1 if number % 2 else 1]
        for name in order:
            start = time.perf_counter()
            result = detectors[name](image)
            if number >= min(WARM_UP, len(images) - 1):
                times[name].append(time.perf_counter() - start)
            found[name].append(
                dict(
                    img_id=info['id'],
                    bboxes=result.boxes,
                    scores=result.scores,
                    labels=result.labels,
                )
            )
    with tempfile.TemporaryDirectory() as folder:
        ann_file = Path(folder, 'annotations.json')
        ann_file.write_text(json.dumps(content))
        return {
            name: Measured(*_ap(found[name], detector, ann_file), float(np.median(times[name])))
            for name, detector in detectors.items()
        }


def _first_images(content: dict, limit: int | None) -> dict:
    """Annotations of the first images alone: the others would count as missed."""
    images = content['images'][:limit]
    kept = {image['id'] for image in images}
    annotations = [one for one in content['annotations'] if one['image_id'] in kept]
    return content | dict(images=images, annotations=annotations)


def _ap(results: list[dict], detector: Detector, ann_file: Path) -> tuple[float, float]:
    metric = CocoDetMetric(ann_file=str(ann_file))
    metric.dataset_meta = dict(classes=tuple(detector.classes))
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)  # without its tables: two figures are wanted
    try:
        figures = metric.compute_metrics([(dict(img_id=r['img_id']), r) for r in results])
    finally:
        logger.setLevel(level)
    return figures['bbox_mAP'], figures['bbox_mAP_50']
