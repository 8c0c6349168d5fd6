"""Drawings of the detections of a test run (``lighthead test --show-dir``)."""

from collections.abc import Sequence
from pathlib import Path

from mmdet.registry import HOOKS
from mmdet.structures import DetDataSample
from mmengine.hooks import Hook
from mmengine.runner import Runner

from lighthead.inference.drawing import draw_detections
from lighthead.inference.images import read_image, write_image
from lighthead.inference.jobs.names import UniqueNames
from lighthead.inference.results import Detections


@HOOKS.register_module()
class DrawDetectionsHook(Hook):
    """Draws the detections of every tested image into a folder, under the image's name.

    Args:
        out_dir: The folder; made if missing.
        score_thr: Detections below it are left out of the drawing.
    """

    def __init__(self, out_dir: str, score_thr: float = 0.3) -> None:
        self.out_dir = Path(out_dir)
        self.score_thr = score_thr
        self._names = UniqueNames()

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence[DetDataSample] | None = None,
    ) -> None:
        """Draw one batch's results."""
        self.out_dir.mkdir(parents=True, exist_ok=True)
        classes = runner.test_loop.dataloader.dataset.metainfo['classes']
        for sample in outputs or ():
            instances = sample.pred_instances.cpu().numpy()
            detections = Detections.from_arrays(
                instances.bboxes, instances.scores, instances.labels, classes, sample.ori_shape
            )
            name = self._names.take(Path(sample.img_path).stem, '.jpg')
            image = read_image(sample.img_path)
            drawing = draw_detections(image, detections.filter(self.score_thr))
            write_image(self.out_dir / name, drawing, sync=False)
