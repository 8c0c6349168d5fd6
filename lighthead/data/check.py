"""Look a config's data over before training: one clear sentence instead of a late crash.

No image is opened, so that COCO itself takes seconds on top of reading its JSON.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmdet.datasets import CocoDataset
from mmengine.config import Config

from lighthead.data.clean import BoxReport, load_clean_boxes, load_coco_json
from lighthead.data.content import check_content, first_names
from lighthead.data.layout import dataset_cfgs, num_classes_fields
from lighthead.errors import UserError

TINY = 32
"""Images with a side shorter than this many pixels are counted: one cell of the last stage."""


@dataclass
class SplitReport:
    """What one annotation file holds."""

    split: str
    ann_file: str
    images: int
    images_without_boxes: int
    tiny_images: int
    classes: int
    boxes: BoxReport
    notes: list[str] = field(default_factory=list)

    def summary(self) -> list[str]:
        """Lines for the log."""
        line = (
            f'{self.split} data: {self.ann_file}: {self.images} images '
            f'({self.images_without_boxes} without boxes), {self.classes} classes, {self.boxes}'
        )
        notes = list(self.notes)
        if self.tiny_images:
            notes.append(f'{self.tiny_images} images have a side shorter than {TINY} pixels')
        return [line, *(f'{self.split} data: {note}' for note in notes)]


@dataclass
class DataReport:
    """The reports of all splits that were checked."""

    splits: list[SplitReport]

    def summary(self) -> list[str]:
        """Lines for the log, of all splits."""
        return [line for split in self.splits for line in split.summary()]


def check_data(cfg: Config, splits: Sequence[str] = ('train', 'val')) -> DataReport:
    """Check the data that a config names, split by split.

    Args:
        cfg: Config with ``<split>_dataloader``, ``<split>_evaluator`` and ``model``.
        splits: Of ``'train'``, ``'val'`` and ``'test'``; one that the config
            has no loader for is passed over.

    Raises:
        UserError: The first fault found, with its path or field.
    """
    reports: dict[str, SplitReport] = {}
    for split in splits:
        for dataset in dataset_cfgs(cfg.get(f'{split}_dataloader')):
            key = str({k: dataset.get(k) for k in ('data_root', 'ann_file', 'metainfo')})
            if key not in reports:  # val and test are often the same
                reports[key] = _check_dataset(cfg, split, dataset)
        _check_evaluators(cfg, split)
    return DataReport(list(reports.values()))


def _check_dataset(cfg: Config, split: str, dataset: Mapping) -> SplitReport:
    if dataset['ann_file'] is None:
        raise UserError(f'{split}_dataloader: the data set has no ann_file: give --data-root.')
    ann_file, folder = _paths(dataset)
    root = dataset.get('data_root')
    if root and not os.path.isdir(root):
        raise UserError(
            f'The data folder {root} ({split}) does not exist: give --data-root, or put the '
            'data there (data/README.md shows how).'
        )
    if not os.path.isdir(folder):
        raise UserError(
            f'The image folder {folder} ({split}) does not exist: check data_root and '
            'data_prefix, or give --data-root.'
        )
    content = load_coco_json(ann_file)
    if not content['images']:
        raise UserError(f'{ann_file} lists no images.')
    if not content['annotations'] and split != 'test':
        raise UserError(f'{ann_file} has no annotations: there is nothing to learn or measure.')
    names, _ = check_content(content, ann_file)
    classes, notes = _match_classes(dataset, split, names, ann_file)
    _check_num_classes(cfg, classes, ann_file)
    _check_files(content['images'], folder, ann_file)
    return _report(split, str(ann_file), content, classes, notes)


def _report(
    split: str, ann_file: str, content: Mapping, classes: Sequence[str], notes: list[str]
) -> SplitReport:
    cleaned, boxes = load_clean_boxes(ann_file, content)
    if split != 'test' and not boxes.kept:
        raise UserError(f'{ann_file} has no usable box: {boxes}.')
    images = content['images']
    return SplitReport(
        split=split,
        ann_file=ann_file,
        images=len(images),
        images_without_boxes=len(images) - len({a['image_id'] for a in cleaned['annotations']}),
        tiny_images=sum(min(image['width'], image['height']) < TINY for image in images),
        classes=len(classes),
        boxes=boxes,
        notes=notes,
    )


def _paths(dataset: Mapping) -> tuple[Path, Path]:
    """Annotation file and image folder, joined as mmengine does."""
    root = Path(dataset.get('data_root') or '')
    prefix = dataset.get('data_prefix') or {}
    return root / dataset['ann_file'], root / (prefix.get('img') or '')


def _match_classes(
    dataset: Mapping, split: str, names: Sequence[str], ann_file: Path
) -> tuple[Sequence[str], list[str]]:
    """The classes that the run will have, and notes on those that one side lacks."""
    classes = (dataset.get('metainfo') or {}).get('classes')
    if classes is None:
        classes = names
        if dataset.get('type') == 'CocoDataset':
            classes = CocoDataset.METAINFO['classes']
    missing = [name for name in classes if name not in names]
    if missing and (split == 'train' or len(missing) == len(classes)):
        raise UserError(
            f'{len(missing)} of the {len(classes)} class names in metainfo '
            f'({first_names(missing)}) are not among the categories of {ann_file} '
            f'({first_names(names)}): correct metainfo.classes, or give --data-root, which takes '
            'them from the file.'
        )
    notes = []
    if missing:
        notes.append(f'{len(missing)} classes do not occur in {ann_file}: {first_names(missing)}')
    unused = [name for name in names if name not in classes]
    if unused:
        notes.append(f'{len(unused)} categories of {ann_file} are not used: {first_names(unused)}')
    return classes, notes


def _check_num_classes(cfg: Config, classes: Sequence[str], ann_file: Path) -> None:
    for owner, path in num_classes_fields(cfg.get('model')):
        if owner['num_classes'] != len(classes):
            raise UserError(
                f'{path}.num_classes is {owner["num_classes"]}, but there are {len(classes)} '
                f'classes ({ann_file}): set it to {len(classes)}, or give --data-root.'
            )


def _check_files(images: Sequence[Mapping], folder: Path, ann_file: Path) -> None:
    """Compare the listed files with what is on disk, one directory listing per folder."""
    listings: dict[str, frozenset[str]] = {}
    missing = []
    for image in images:
        parent, name = os.path.split(os.path.join(folder, image['file_name']))
        if parent not in listings:
            listings[parent] = _listing(parent)
        if name not in listings[parent]:
            missing.append(image['file_name'])
    if missing:
        raise UserError(
            f'{len(missing)} of the {len(images)} images listed in {ann_file} are not in '
            f'{folder} ({first_names(missing)}): complete the folder, or remove them from the file.'
        )


def _listing(folder: str) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def _check_evaluators(cfg: Config, split: str) -> None:
    evaluators = cfg.get(f'{split}_evaluator') or []
    for evaluator in [evaluators] if isinstance(evaluators, Mapping) else evaluators:
        ann_file = evaluator.get('ann_file')
        if ann_file is not None and not os.path.isfile(ann_file):
            raise UserError(
                f'{split}_evaluator.ann_file {ann_file} does not exist: set it to the '
                'annotation file of the data set.'
            )
