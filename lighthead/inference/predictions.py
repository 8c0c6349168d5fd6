"""Everything that was found in a run, as one plain dict in COCO's form."""

from collections.abc import Sequence
from pathlib import Path

from lighthead.inference.results import Detections


class Predictions:
    """Collects the detections of many images and video frames.

    ``images`` are numbered from 1 in the order of :meth:`add`; a frame of a
    video is an image of its own with ``frame`` and ``time`` (seconds).
    ``annotations`` are COCO's, with a ``score`` each, so the file loads both in
    tools that read ground truth and, by its ``annotations``, as COCO results.
    """

    def __init__(self, classes: Sequence[str], category_ids: Sequence[int]) -> None:
        self.category_ids = list(category_ids)
        self.categories = [
            dict(id=int(number), name=name)
            for number, name in zip(category_ids, classes, strict=True)
        ]
        self.images: list[dict] = []
        self.annotations: list[dict] = []

    def add(
        self,
        path: Path,
        detections: Detections,
        drawing: str | None = None,
        frame: int | None = None,
        fps: float | None = None,
    ) -> None:
        """Add one image, or frame number ``frame`` (from 0) of a video."""
        height, width = detections.image_size
        image_id = len(self.images) + 1
        image = dict(id=image_id, file_name=path.as_posix(), width=width, height=height)
        if frame is not None:
            image.update(frame=frame, time=round(frame / fps, 3) if fps else None)
        if drawing is not None:
            image['drawing'] = drawing
        self.images.append(image)
        for result in detections.to_coco(image_id, self.category_ids):
            box_width, box_height = result['bbox'][2:]
            self.annotations.append(
                dict(
                    id=len(self.annotations) + 1,
                    **result,
                    area=round(box_width * box_height, 3),
                    iscrowd=0,
                )
            )

    def to_dict(self) -> dict:
        """COCO's ``images``, ``categories`` and ``annotations``."""
        return dict(images=self.images, categories=self.categories, annotations=self.annotations)
