"""Detections in the forms of other libraries, which are imported when one is asked for."""

import importlib
import json
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from lighthead.errors import missing_extra

if TYPE_CHECKING:
    import pandas
    import supervision

    from lighthead.inference.results import Detections


def to_coco(
    detections: 'Detections', image_id: int, category_ids: Sequence[int | None] | None
) -> list[dict]:
    """See :meth:`lighthead.inference.results.Detections.to_coco`."""
    ids = [int(number) for number in category_ids or () if number is not None]
    known = bool(ids) and len(ids) == len(category_ids or ())
    return [
        dict(
            image_id=image_id,
            category_id=ids[label] if known else int(label) + 1,
            bbox=[round(float(v), 3) for v in (x1, y1, x2 - x1, y2 - y1)],
            score=round(float(score), 6),
        )
        for (x1, y1, x2, y2), score, label in zip(
            detections.boxes.astype(np.float64), detections.scores, detections.labels, strict=True
        )
    ]


def to_list(detections: 'Detections') -> list[dict]:
    """transformers' form."""
    return [
        dict(
            score=float(score),
            label=name,
            box=dict(zip(('xmin', 'ymin', 'xmax', 'ymax'), (float(v) for v in box), strict=True)),
        )
        for name, score, box in zip(
            detections.names, detections.scores, detections.boxes, strict=True
        )
    ]


def to_dict(detections: 'Detections') -> dict:
    """Plain data: boxes to a thousandth of a pixel, scores to a millionth."""
    height, width = detections.image_size
    fields = dict(
        width=width,
        height=height,
        boxes=[[round(v, 3) for v in box] for box in detections.boxes.astype(float).tolist()],
        scores=[round(v, 6) for v in detections.scores.astype(float).tolist()],
        labels=detections.labels.tolist(),
        names=list(detections.names),
    )
    if detections.track_ids is not None:
        fields['track_ids'] = detections.track_ids.tolist()
    return fields


def to_json(data: Any) -> str:
    """JSON of plain data; names that are no UTF-8 become ``\\udcff`` and read back the same."""
    text = json.dumps(data, ensure_ascii=False, separators=(',', ':'))
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')


def to_dataframe(detections: 'Detections') -> 'pandas.DataFrame':
    """One row per detection."""
    columns = dict(name=detections.names, score=detections.scores, label=detections.labels)
    columns |= dict(zip(('x1', 'y1', 'x2', 'y2'), detections.boxes.T, strict=True))
    if detections.track_ids is not None:
        columns['track_id'] = detections.track_ids
    return import_extra('pandas', 'results').DataFrame(columns)


def to_supervision(detections: 'Detections') -> 'supervision.Detections':
    """supervision's own class."""
    return import_extra('supervision', 'results').Detections(
        xyxy=detections.boxes.copy(),
        confidence=detections.scores.copy(),
        class_id=detections.labels.astype(int),
        tracker_id=detections.track_ids,
        data={'class_name': np.array(detections.names, dtype=str)},
    )


def crop(image: np.ndarray, boxes: np.ndarray) -> list[np.ndarray]:
    """Parts of an image (H, W, 3), at least a pixel each; views of it."""
    height, width = image.shape[:2]
    parts = []
    for x1, y1, x2, y2 in boxes.astype(float):
        left = min(max(int(np.floor(x1)), 0), width - 1)
        top = min(max(int(np.floor(y1)), 0), height - 1)
        right, bottom = max(int(np.ceil(x2)), left + 1), max(int(np.ceil(y2)), top + 1)
        parts.append(image[top:bottom, left:right])
    return parts


def import_extra(package: str, extra: str) -> ModuleType:
    """Import a package of an extra.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise missing_extra(package, extra) from error
