"""Images of each validation with their boxes, for TensorBoard and mmengine's other backends."""

from collections.abc import Mapping, Sequence

import numpy as np
from mmdet.registry import HOOKS
from mmdet.structures import DetDataSample
from mmengine.dataset import BaseDataset
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from lighthead.evaluation.contact_sheet import labelled_tile, side_by_side, tile
from lighthead.inference.images import read_image
from lighthead.inference.results import Detections

NAME = 'val_images'
"""Under which the backends show the picture."""
MOST_BOXES = 20
"""Detections of an image that are drawn, the best ones: early in a training there are hundreds."""


@HOOKS.register_module()
class ValidationImagesHook(Hook):
    """Draws the first images of a validation: on the left as labelled, on the right as detected.

    Each validation gives one picture, under its epoch.

    Args:
        count: How many images; 0 draws none.
        score_thr: Detections below it are left out.
    """

    def __init__(self, count: int = 4, score_thr: float = 0.3) -> None:
        self.count = count
        self.score_thr = score_thr
        self._tiles: list[np.ndarray] = []

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin a new picture."""
        self._tiles = []

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: Sequence[DetDataSample] | None = None,
    ) -> None:
        """Draw the images of one batch, as long as some are wanted."""
        if not is_main_process():
            return
        dataset = runner.val_dataloader.dataset
        for sample in (outputs or ())[: self.count - len(self._tiles) // 2]:
            classes, image = dataset.metainfo['classes'], read_image(sample.img_path)
            instances = sample.pred_instances.cpu().numpy()
            detections = Detections.from_arrays(
                instances.bboxes, instances.scores, instances.labels, classes, sample.ori_shape
            )
            boxes, labels = self._labelled(dataset, sample.img_id)
            self._tiles.append(labelled_tile(image, boxes, labels, classes))
            self._tiles.append(tile(image, detections.filter(self.score_thr)[:MOST_BOXES]))

    def _labelled(self, dataset: BaseDataset, img_id: object) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4) and labels (N,) of one of the data set's first images."""
        for index in range(min(len(dataset), self.count * get_world_size())):
            info = dataset.get_data_info(index)
            if info['img_id'] == img_id:
                found = [i for i in info['instances'] if not i['ignore_flag']]
                boxes = np.array([i['bbox'] for i in found], np.float32).reshape(-1, 4)
                return boxes, np.array([i['bbox_label'] for i in found], int)
        return np.zeros((0, 4), np.float32), np.zeros(0, int)

    def after_val_epoch(self, runner: Runner, metrics: Mapping | None = None) -> None:
        """Hand the picture to the visualizer's backends."""
        if self._tiles:
            sheet = side_by_side(self._tiles, 2)
            rgb = np.ascontiguousarray(sheet[..., ::-1])
            runner.visualizer.add_image(NAME, rgb, step=runner.epoch)
