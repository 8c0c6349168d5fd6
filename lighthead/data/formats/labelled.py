"""A labelled data set in memory, whatever format it was read from.

Every reader returns COCO content (https://cocodataset.org/#format-data), the one form that
the rest of the package works with: boxes are (x, y, width, height) in pixels of the image as
it is displayed, which is after its EXIF orientation was applied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

SPLITS = ('train', 'val', 'test')
SPLIT_NAMES = {
    'train': 'train',
    'training': 'train',
    'train2017': 'train',
    'trainval': 'train',
    'default': 'train',
    'val': 'val',
    'valid': 'val',
    'validation': 'val',
    'val2017': 'val',
    'dev': 'val',
    'test': 'test',
    'testing': 'test',
    'test2017': 'test',
}
"""What labelling tools call the splits, in lower case; ``default`` is CVAT's only subset."""


@dataclass
class LabelledSplit:
    """One part of a data set.

    Attributes:
        content: COCO content; every ``file_name`` is relative to ``img_dir``.
        img_dir: Folder of the images.
        ann_file: The COCO file that ``content`` is equal to, or None where it was converted.
        notes: What was left out or repaired while reading, for the user.
    """

    content: dict
    img_dir: Path
    ann_file: Path | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the categories."""
        return [category['name'] for category in self.content['categories']]

    def __str__(self) -> str:
        images, boxes = len(self.content['images']), len(self.content['annotations'])
        return f'{images} images, {boxes} boxes'


@dataclass
class LabelledData:
    """A data set on disk.

    Attributes:
        root: Its folder.
        format: ``'COCO'``, ``'YOLO'``, ``'Pascal VOC'`` or ``'LabelMe'``.
        splits: The splits that it has, by :data:`SPLITS`.
    """

    root: Path
    format: str
    splits: dict[str, LabelledSplit]

    def __str__(self) -> str:
        parts = ', '.join(f'{name}: {split}' for name, split in self.splits.items())
        classes = next(iter(self.splits.values())).classes
        return f'{self.root}: {self.format}, {len(classes)} classes; {parts}'


def split_of(name: str) -> str | None:
    """The split that a tool's name stands for (``Valid`` is ``val``), None where it is none."""
    return SPLIT_NAMES.get(name.lower())


class ContentBuilder:
    """Collects images and boxes as COCO content.

    Args:
        classes: Class names by the format's own class id.
    """

    def __init__(self, classes: dict[int, str]) -> None:
        self.images: list[dict] = []
        self.annotations: list[dict] = []
        self.categories = [
            {'id': class_id + 1, 'name': name} for class_id, name in sorted(classes.items())
        ]

    def add_image(self, file_name: str, width: int, height: int) -> int:
        """Add an image; returns its id."""
        image_id = len(self.images) + 1
        image = {'id': image_id, 'file_name': file_name, 'width': width, 'height': height}
        self.images.append(image)
        return image_id

    def add_box(self, image_id: int, class_id: int, box: Sequence[float], **extra: int) -> None:
        """Add a box (x, y, width, height) in pixels; ``extra`` fields go with it."""
        annotation = {
            'id': len(self.annotations) + 1,
            'image_id': image_id,
            'category_id': class_id + 1,
            'bbox': [round(value, 3) for value in box],
            'area': round(box[2] * box[3], 3),
            'iscrowd': 0,
        }
        self.annotations.append({**annotation, **extra})

    def content(self) -> dict:
        """The COCO content."""
        return {
            'images': self.images,
            'annotations': self.annotations,
            'categories': self.categories,
        }
