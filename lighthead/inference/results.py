"""The detections of one image: sorted, sliced, filtered, and handed to other libraries."""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from lighthead.errors import UserError
from lighthead.inference import conversions
from lighthead.inference.drawing import draw_detections
from lighthead.inference.images import ImageLike, read_image, write_image
from lighthead.inference.suppression import greedy_suppression

if TYPE_CHECKING:
    import pandas
    import supervision


class Detection(NamedTuple):
    """One object: ``box`` float32 (4,) as x1, y1, x2, y2 in pixels, ``score`` in 0..1."""

    box: np.ndarray
    score: float
    label: int
    name: str
    track_id: int | None = None


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of one image, sorted by falling score.

    ``len``, iteration (:class:`Detection`), and indexing: a number gives a
    :class:`Detection`; a slice, a list of numbers or a mask gives ``Detections``.

    Attributes:
        boxes: ``float32`` (N, 4): x1, y1, x2, y2 in pixels of the input image,
            after its EXIF orientation, clipped to it.
        scores: ``float32`` (N,), in 0..1.
        labels: ``int64`` (N,), indices into the detector's ``classes``.
        names: Class name of each detection.
        image_size: (height, width) of the input image.
        track_ids: ``int64`` (N,), the same for one object in all frames of a video; None
            where nothing was tracked.
        best_score: Highest score in the image before any threshold; None if there was none.
        source: The image as it was given to the detector, for :meth:`plot` and :meth:`crop`.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    names: list[str]
    image_size: tuple[int, int]
    track_ids: np.ndarray | None = None
    best_score: float | None = None
    source: ImageLike | None = field(default=None, repr=False)

    @classmethod
    def from_arrays(
        cls,
        boxes: np.ndarray,
        scores: np.ndarray,
        labels: np.ndarray,
        classes: Sequence[str],
        image_size: tuple[int, int],
        source: ImageLike | None = None,
    ) -> 'Detections':
        """Sort by score (ties keep their order) and look the names up in ``classes``."""
        scores = np.asarray(scores, np.float32).reshape(-1)
        order = np.argsort(-scores, kind='stable')
        labels = np.asarray(labels, np.int64).reshape(-1)[order]
        return cls(
            boxes=np.asarray(boxes, np.float32).reshape(-1, 4)[order],
            scores=scores[order],
            labels=labels,
            names=[classes[label] for label in labels],
            image_size=(int(image_size[0]), int(image_size[1])),
            best_score=float(scores[order[0]]) if len(order) else None,
            source=source,
        )

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int | np.integer) -> Detection: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> 'Detections': ...

    def __getitem__(
        self, index: int | np.integer | slice | Sequence[int] | np.ndarray
    ) -> 'Detection | Detections':
        if isinstance(index, int | np.integer):
            return Detection(
                self.boxes[index],
                float(self.scores[index]),
                int(self.labels[index]),
                self.names[index],
                None if self.track_ids is None else int(self.track_ids[index]),
            )
        if not isinstance(index, slice):
            numbers = np.asarray(index)
            index = numbers if numbers.size else numbers.astype(np.int64)
        chosen = np.arange(len(self))[index]
        return replace(
            self,
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            labels=self.labels[chosen],
            names=[self.names[number] for number in chosen],
            track_ids=None if self.track_ids is None else self.track_ids[chosen],
        )

    def filter(
        self, score_thr: float = 0.0, names: str | Collection[str] | None = None
    ) -> 'Detections':
        """Those whose score is at least ``score_thr``, and whose class is among ``names``."""
        kept = self.scores >= np.float32(score_thr)
        if names is not None:
            wanted = {names} if isinstance(names, str) else set(names)
            kept &= np.array([name in wanted for name in self.names], bool)
        return self[np.flatnonzero(kept)]

    def suppress(self, iou_thr: float = 0.5) -> 'Detections':
        """Those that overlap none with a higher score, whatever the classes.

        Args:
            iou_thr: Largest intersection over union that two kept boxes may have.
        """
        return self[greedy_suppression(self.boxes, iou_thr)]

    def to_coco(
        self, image_id: int, category_ids: Sequence[int | None] | None = None
    ) -> list[dict]:
        """COCO results: plain dicts with ``bbox`` as x, y, width, height.

        Args:
            image_id: Id of the image.
            category_ids: Category id of each label; by default labels count from 1.
        """
        return conversions.to_coco(self, image_id, category_ids)

    def to_list(self) -> list[dict]:
        """As transformers' object-detection pipelines: dicts with score, label (name), box."""
        return conversions.to_list(self)

    def to_dict(self) -> dict:
        """Plain data: width, height, boxes, scores, labels, names, and track_ids if there are."""
        return conversions.to_dict(self)

    def to_json(self) -> str:
        """:meth:`to_dict` as JSON."""
        return conversions.to_json(self.to_dict())

    def to_dataframe(self) -> 'pandas.DataFrame':
        """One row per detection: name, score, label, x1, y1, x2, y2 (needs pandas)."""
        return conversions.to_dataframe(self)

    def to_supervision(self) -> 'supervision.Detections':
        """``supervision.Detections`` with ``data['class_name']`` (needs supervision)."""
        return conversions.to_supervision(self)

    def plot(self, image: ImageLike | None = None) -> np.ndarray:
        """The image with boxes drawn into it: uint8 BGR (H, W, 3), a copy.

        Args:
            image: By default the one that the detector was given; a file is read again.
        """
        return draw_detections(self._pixels(image), self)

    def save(self, path: str | os.PathLike, image: ImageLike | None = None) -> None:
        """Write :meth:`plot` to an image file; the format goes by the suffix."""
        write_image(path, self.plot(image))

    def crop(self, image: ImageLike | None = None) -> list[np.ndarray]:
        """The part of the image in each box, rounded outwards: uint8 BGR (h, w, 3), h, w >= 1."""
        return conversions.crop(self._pixels(image), self.boxes)

    def _pixels(self, image: ImageLike | None) -> np.ndarray:
        image = self.source if image is None else image
        if image is None:
            raise UserError('These detections hold no image: give one.')
        pixels = read_image(image)
        if pixels.shape[:2] != self.image_size:
            raise UserError(
                f'The image has {pixels.shape[0]} x {pixels.shape[1]} pixels (height x width), '
                f'but the detections belong to one of {self.image_size[0]} x {self.image_size[1]}.'
            )
        return pixels

    def __str__(self) -> str:
        lines = [
            f'{name} {score:.3f} [{x1:.1f}, {y1:.1f}, {x2:.1f}, {y2:.1f}]'
            for name, score, (x1, y1, x2, y2) in zip(
                self.names, self.scores, self.boxes, strict=True
            )
        ]
        return '\n'.join(lines) or no_detections(self.best_score)


def no_detections(best_score: float | None) -> str:
    """What to say where nothing is left, with the best score that there was."""
    return '0 detections' + (
        '' if best_score is None else f' (the best score was {best_score:.3g})'
    )
