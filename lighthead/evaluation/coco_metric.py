"""COCO box metrics (https://cocodataset.org/#detection-eval) that handle empty or odd results."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.datasets.api_wrappers import COCOeval
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmengine.logging import MMLogger
from terminaltables import AsciiTable

from lighthead.data.clean import CLEANED
from lighthead.data.clean_coco import CleanCOCO
from lighthead.data.parsed_once import forget
from lighthead.errors import UserError
from lighthead.evaluation.coco_eval import (
    AREAS,
    PRECISIONS,
    average_precision,
    average_recall,
    evaluate_boxes,
)
from lighthead.evaluation.proposal_recall import count_recalled, proposal_recall
from lighthead.files import write_text_file


@METRICS.register_module()
class CocoDetMetric(CocoMetric):
    """Average precision and recall of boxes, equal to pycocotools' on the written JSON.

    It differs from mmdet's CocoMetric so: the ground truth is cleaned as the
    training data is; no detection at all gives AP 0 under the usual names;
    values are not rounded; at most 100 detections per image and class count, as COCO
    has it. As in pycocotools, -1 stands for a figure without ground truth (a
    size or class that does not occur).

    Args:
        ann_file: COCO annotation file of the evaluated data set.
        metric: ``'bbox'``; mmdet's CocoMetric has the others.
        classwise: Whether to log a table per class and return
            ``<class>_precision`` for each.
        proposal_nums: Detections per image and class for AR; the last one also for AP.
        out: File to write the COCO results JSON to.
        outfile_prefix: As in mmdet: ``<prefix>.bbox.json`` is written.
        format_only: Write the JSON, compute nothing (``ann_file`` may lack annotations).
        kwargs: As CocoMetric's (``iou_thrs``, ``metric_items``, ``prefix``, ...).
    """

    iou_thrs: np.ndarray

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] = 'bbox',
        classwise: bool = False,
        proposal_nums: Sequence[int] = (1, 10, 100),
        out: str | None = None,
        outfile_prefix: str | None = None,
        format_only: bool = False,
        **kwargs: Any,
    ) -> None:
        if metric not in ('bbox', ['bbox'], ('bbox',)):
            raise UserError(
                f'CocoDetMetric computes metric "bbox", not {metric}: use mmdet\'s CocoMetric.'
            )
        if ann_file is None:
            raise UserError('CocoDetMetric needs ann_file, the evaluated annotation file.')
        if format_only and not (out or outfile_prefix):
            raise UserError('CocoDetMetric with format_only needs out or outfile_prefix.')
        super().__init__(classwise=classwise, proposal_nums=proposal_nums, **kwargs)
        self.iou_thrs = np.atleast_1d(self.iou_thrs)
        self.format_only = format_only
        self.ann_file = ann_file
        self.out = out or (f'{outfile_prefix}.bbox.json' if outfile_prefix else None)
        self._coco_api = CleanCOCO(ann_file)
        forget(ann_file, CLEANED)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Note an image's detections, and how many of its objects its proposals cover."""
        super().process(data_batch, data_samples)
        for (image, _), sample in zip(self.results[-len(data_samples) :], data_samples):
            if 'rpn_proposals' in sample:
                proposals = sample['rpn_proposals']['bboxes'].float().cpu().numpy()
                objects = self._objects(image['img_id'])
                scale = np.tile(sample['scale_factor'], 2)  # of the input, to the image file
                image['recalled'] = count_recalled(proposals / scale, objects)
                image['objects'] = len(objects)

    def _objects(self, img_id: int) -> np.ndarray:
        """Boxes (G, 4), (x1, y1, x2, y2), of the evaluated classes, crowds left out."""
        category_ids = set(self._coco_api.category_ids(self.dataset_meta['classes']))
        boxes = [
            annotation['bbox']
            for annotation in self._coco_api.img_ann_map.get(img_id, [])
            if annotation['category_id'] in category_ids and not annotation['iscrowd']
        ]
        corners, sizes = np.hsplit(np.asarray(boxes, dtype=float).reshape(-1, 4), 2)
        return np.hstack([corners, corners + sizes])

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Figures of all images' results, which mmengine has gathered from all processes.

        Args:
            results: A pair per image, of which the second has ``img_id``,
                ``bboxes`` (N, 4) as (x1, y1, x2, y2) in pixels of the image
                file, ``scores`` (N,) and ``labels`` (N,).

        Returns:
            ``bbox_mAP``, ``bbox_mAP_50``, ..., and per class with ``classwise``; and
            ``rpn_recall_50`` and ``rpn_recall_75`` where the images come with proposals.
        """
        logger = MMLogger.get_current_instance()
        # an image that filled up an uneven split comes twice
        by_image = {result['img_id']: result for _, result in reversed(results)}
        images = {image['img_id']: image for image, _ in results if 'recalled' in image}
        detections = self._detections(list(reversed(by_image.values())))
        if self.out is not None:
            Path(self.out).parent.mkdir(parents=True, exist_ok=True)
            write_text_file(json.dumps(detections), self.out)
            logger.info(f'{len(detections)} detections written to {self.out}')
        if self.format_only:
            return {}
        if not self._coco_api.anns:
            logger.warning(f'{self.ann_file} has no boxes: every figure is -1.')
        elif not detections:
            logger.warning('There are no detections: AP is 0.')
        if len(by_image) < len(self._coco_api.imgs):
            logger.warning(
                f'Results for {len(by_image)} of the {len(self._coco_api.imgs)} images of '
                f'{self.ann_file}: the others count as images without detections.'
            )
        figures = self._figures(self._evaluate(detections), logger)
        if images:
            recalled = [image['recalled'] for image in images.values()]
            objects = sum(image['objects'] for image in images.values())
            figures.update(proposal_recall(recalled, objects))
        return figures

    def _detections(self, results: Sequence[dict]) -> list[dict]:
        """COCO results: one dict per detection whose class the annotation file has."""
        unknown = [r['img_id'] for r in results if r['img_id'] not in self._coco_api.imgs]
        if unknown:
            raise UserError(
                f'{len(unknown)} evaluated images are not in {self.ann_file} (the first has id '
                f"{unknown[0]}): set the evaluator's ann_file to the data set's."
            )
        category_ids = self._coco_api.category_ids(self.dataset_meta['classes'])
        detections = []
        for result in results:
            boxes = np.asarray(result['bboxes'], dtype=float).reshape(-1, 4)
            boxes = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
            usable = np.isfinite(boxes).all(axis=1) & np.isfinite(result['scores'])
            for number in np.flatnonzero(usable):
                category_id = category_ids[int(result['labels'][number])]
                if category_id is not None:
                    detections.append(
                        dict(
                            image_id=result['img_id'],
                            category_id=category_id,
                            bbox=boxes[number].tolist(),
                            score=float(result['scores'][number]),
                        )
                    )
        return detections

    def _evaluate(self, detections: Sequence[dict]) -> COCOeval:
        ids = self._coco_api.category_ids(self.dataset_meta['classes'])
        known = [category_id for category_id in ids if category_id is not None]
        return evaluate_boxes(self._coco_api, detections, known, self.iou_thrs, self.proposal_nums)

    def _figures(self, evaluation: COCOeval, logger: MMLogger) -> dict[str, float]:
        figures = {
            name: average_precision(evaluation, iou, area)
            for name, (iou, area) in PRECISIONS.items()
        }
        for number, count in enumerate(self.proposal_nums):
            figures[f'AR@{count}'] = average_recall(evaluation, number)
        for area in AREAS[1:]:
            name = f'AR_{area[0]}@{self.proposal_nums[-1]}'
            figures[name] = average_recall(evaluation, area=area)
        logger.info('\n' + self._summary_table(figures, evaluation))
        metrics: dict[str, float] = {}
        if self.classwise:
            metrics, table = self._per_class(evaluation)
            logger.info('\n' + table)
        items = self.metric_items or list(PRECISIONS)
        unknown = [item for item in items if item not in figures]
        if unknown:
            raise UserError(f'metric_items {unknown} are none of {list(figures)}.')
        metrics.update({f'bbox_{item}': figures[item] for item in items})
        copypaste = ' '.join(f'{figures[name]:.3f}' for name in PRECISIONS)
        logger.info(f'bbox_mAP_copypaste: {copypaste}')
        return metrics

    def _summary_table(self, figures: dict[str, float], evaluation: COCOeval) -> str:
        last = self.proposal_nums[-1]
        span = f'{self.iou_thrs[0]:.2f}:{self.iou_thrs[-1]:.2f}'
        rows = [['figure', 'IoU', 'area', 'max detections', 'value']]
        for name, (iou, area) in PRECISIONS.items():
            shown = span if iou is None else f'{iou:.2f}'
            rows.append([name.replace('mAP', 'AP'), shown, area, last, f'{figures[name]:.3f}'])
        for name, value in figures.items():
            if name.startswith('AR'):
                kind, count = name.split('@')
                area = next((a for a in AREAS[1:] if kind == f'AR_{a[0]}'), 'all')
                rows.append([name, span, area, count, f'{value:.3f}'])
        per_iou = (f'{iou:.2f}: {average_precision(evaluation, iou):.3f}' for iou in self.iou_thrs)
        return f'{AsciiTable(rows).table}\nAP per IoU  ' + '  '.join(per_iou)

    def _per_class(self, evaluation: COCOeval) -> tuple[dict[str, float], str]:
        counts = dict.fromkeys(evaluation.params.catIds, 0)
        for annotation in self._coco_api.anns.values():
            if annotation['category_id'] in counts and not annotation['iscrowd']:
                counts[annotation['category_id']] += 1
        metrics = {}
        rows = [['category', 'boxes', *(name.replace('mAP', 'AP') for name in PRECISIONS)]]
        for number, (category_id, boxes) in enumerate(counts.items()):
            name = self._coco_api.cats[category_id]['name']
            values = [average_precision(evaluation, *at, number) for at in PRECISIONS.values()]
            metrics[f'{name}_precision'] = values[0]
            rows.append([name, str(boxes), *(f'{v:.3f}' if v >= 0 else '-' for v in values)])
        return metrics, AsciiTable(rows).table
