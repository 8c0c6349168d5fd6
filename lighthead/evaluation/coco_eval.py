"""pycocotools' evaluation of boxes, for every figure that the package gives."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from mmdet.datasets.api_wrappers import COCOeval

from lighthead.data.clean_coco import CleanCOCO

AREAS = ('all', 'small', 'medium', 'large')
"""COCO's object sizes, in the order of pycocotools; the area of small ones is below 32 x 32."""
PRECISIONS = {  # name: (IoU threshold or None for all, area)
    'mAP': (None, 'all'),
    'mAP_50': (0.5, 'all'),
    'mAP_75': (0.75, 'all'),
    'mAP_s': (None, 'small'),
    'mAP_m': (None, 'medium'),
    'mAP_l': (None, 'large'),
}
IOU_THRS = np.linspace(0.5, 0.95, 10)
MAX_DETS = (1, 10, 100)


def evaluate_boxes(
    coco: CleanCOCO,
    detections: Sequence[dict],
    category_ids: Sequence[int],
    iou_thrs: np.ndarray = IOU_THRS,
    max_dets: Sequence[int] = MAX_DETS,
    more_areas: Sequence[tuple[float, float]] = (),
) -> COCOeval:
    """Evaluate COCO results on all images.

    Args:
        detections: COCO results; the dicts are left as they are.
        category_ids: Of the evaluated classes, in the order of the figures.
        max_dets: Detections per image and class, for AR; the last one also for AP.
        more_areas: Ranges (square pixels) to evaluate after those of :data:`AREAS`.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        if detections:
            results = coco.loadRes([dict(detection) for detection in detections])
        else:
            results = CleanCOCO()
            results.dataset = {**coco.dataset, 'annotations': []}
            results.createIndex()
        evaluation = COCOeval(coco, results, 'bbox')
        params = evaluation.params
        params.catIds, params.imgIds = list(category_ids), coco.get_img_ids()
        params.maxDets, params.iouThrs = list(max_dets), iou_thrs
        params.areaRng = [*params.areaRng, *map(list, more_areas)]
        params.areaRngLbl = [*params.areaRngLbl, *(f'{low:g}' for low, _ in more_areas)]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def average_precision(
    evaluation: COCOeval,
    iou: float | None = None,
    area: str | int = 'all',
    number: int | None = None,
) -> float:
    """AP as pycocotools has it, -1 where nothing has ground truth.

    Args:
        iou: One threshold; None takes the mean over all.
        area: One of :data:`AREAS`, or the index of an area range.
        number: Index of a class; None takes the mean over all.
    """
    values = evaluation.eval['precision']  # IoU, recall, class, area, max dets
    values = values[..., AREAS.index(area) if isinstance(area, str) else area, -1]
    if iou is not None:
        values = values[np.isclose(evaluation.params.iouThrs, iou)]
    return mean_defined(values if number is None else values[:, :, number])


def average_recall(evaluation: COCOeval, count: int = -1, area: str = 'all') -> float:
    """AR at the ``count``-th limit of detections, -1 where nothing has ground truth."""
    return mean_defined(evaluation.eval['recall'][:, :, AREAS.index(area), count])


def mean_defined(values: np.ndarray) -> float:
    """Mean of the entries that have ground truth, -1 where none has."""
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0
