"""What the detector found in one image."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Detections:
    """Detections of one image, sorted by falling score.

    Attributes:
        boxes: ``float32`` (N, 4): x1, y1, x2, y2 in pixels of the input image,
            after its EXIF orientation, clipped to it.
        scores: ``float32`` (N,), in 0..1.
        labels: ``int64`` (N,), indices into the detector's ``classes``.
        names: Class name of each detection.
        image_size: (height, width) of the input image.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    names: list[str]
    image_size: tuple[int, int]

    @classmethod
    def from_arrays(
        cls,
        boxes: np.ndarray,
        scores: np.ndarray,
        labels: np.ndarray,
        classes: Sequence[str],
        image_size: tuple[int, int],
    ) -> 'Detections':
        """Sort by score (ties keep their order) and look the names up in ``classes``."""
        order = np.argsort(-np.asarray(scores), kind='stable')
        labels = np.asarray(labels, np.int64).reshape(-1)[order]
        return cls(
            boxes=np.asarray(boxes, np.float32).reshape(-1, 4)[order],
            scores=np.asarray(scores, np.float32).reshape(-1)[order],
            labels=labels,
            names=[classes[label] for label in labels],
            image_size=(int(image_size[0]), int(image_size[1])),
        )

    def __len__(self) -> int:
        return len(self.scores)

    def filter(self, score_thr: float) -> 'Detections':
        """Those whose score is at least ``score_thr``."""
        kept = np.flatnonzero(self.scores >= score_thr)
        return replace(
            self,
            boxes=self.boxes[kept],
            scores=self.scores[kept],
            labels=self.labels[kept],
            names=[self.names[index] for index in kept],
        )

    def to_coco(self, image_id: int, category_ids: Sequence[int] | None = None) -> list[dict]:
        """COCO results: plain dicts with ``bbox`` as x, y, width, height.

        Args:
            image_id: Id of the image.
            category_ids: Category id of each label; by default labels count from 1.
        """
        return [
            dict(
                image_id=image_id,
                category_id=int(category_ids[label]) if category_ids else int(label) + 1,
                bbox=[round(float(v), 3) for v in (x1, y1, x2 - x1, y2 - y1)],
                score=round(float(score), 6),
            )
            for (x1, y1, x2, y2), score, label in zip(
                self.boxes.astype(np.float64), self.scores, self.labels, strict=True
            )
        ]

    def __str__(self) -> str:
        lines = [
            f'{name} {score:.3f} [{x1:.1f}, {y1:.1f}, {x2:.1f}, {y2:.1f}]'
            for name, score, (x1, y1, x2, y2) in zip(
                self.names, self.scores, self.boxes, strict=True
            )
        ]
        return '\n'.join(lines) or 'nothing found'
