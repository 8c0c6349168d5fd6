"""The splits of a data set as COCO files, whatever its format.

COCO data is used where it lies. Other formats, and splits that are made on the fly
(``--val-fraction``, ``--fold``), become COCO files in a cache folder that are named by their
content: equal data gives the same file, so a run resumes with what it was started with.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mmengine.logging import print_log

from lighthead.data.classes import classes_of
from lighthead.data.convert import merged
from lighthead.data.formats import LabelledData, LabelledSplit, read_dataset
from lighthead.data.split import fold as divide_fold
from lighthead.data.split import hold_out
from lighthead.errors import UserError
from lighthead.files import write_bytes_file


@dataclass(frozen=True)
class Split:
    """One part of a data set: its annotations, its images, its classes in the file's order."""

    ann_file: Path
    img_dir: Path
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]


@dataclass(frozen=True)
class DataLayout:
    """A data set on disk; a split that it lacks is None."""

    root: Path
    train: Split | None
    val: Split | None


def find_splits(
    root: str | os.PathLike,
    val_fraction: float | None = None,
    fold: tuple[int, int] | None = None,
    seed: int = 0,
) -> DataLayout:
    """Find the train and val splits of a data set in any known format.

    Args:
        val_fraction: Share of the train split to validate on, where there is no val split.
        fold: (i, k): validate on the i-th of k parts of all images, train on the others.
        seed: Of a split that is made here.

    Raises:
        UserError: The folder is missing, in no known format, or malformed; or the split that
            is asked for cannot be made.
    """
    data = read_dataset(root)
    data = _divided(data, val_fraction, fold, seed)
    if data.format != 'COCO' or data.splits.keys() - {'train', 'val'} or len(data.splits) < 2:
        _log(data)
    train, val = (_on_disk(data.splits.get(name)) for name in ('train', 'val'))
    if train is None and val is None:
        raise UserError(f'{root} has neither a train nor a val split: see data/README.md.')
    return DataLayout(data.root, train, val)


def _log(data: LabelledData) -> None:
    print_log(f'data: {data}', 'current')
    for name, split in data.splits.items():
        for note in split.notes:
            print_log(f'{name} data: {note}', 'current')


def _divided(
    data: LabelledData, val_fraction: float | None, fold: tuple[int, int] | None, seed: int
) -> LabelledData:
    if val_fraction is not None and fold is not None:
        raise UserError('--val-fraction and --fold exclude each other: give one of them.')
    if fold is not None:
        whole = merged(data)
        train, val = divide_fold(whole.content, *fold, seed)
        how = f'fold {fold[0]} of {fold[1]} of all images'
    elif val_fraction is not None:
        if 'val' in data.splits:
            raise UserError(f'{data.root} has a val split already: leave --val-fraction out.')
        whole = data.splits['train']
        train, val = hold_out(whole.content, val_fraction, seed)
        how = f'{val_fraction:g} of the train split'
    else:
        return data
    print_log(f'val split: {how}, {len(val["images"])} images, seed {seed}', 'current')
    parts = {'train': train, 'val': val}
    splits = {name: replace(whole, content=part, ann_file=None) for name, part in parts.items()}
    return LabelledData(data.root, data.format, splits)


def _on_disk(split: LabelledSplit | None) -> Split | None:
    if split is None:
        return None
    ann_file = split.ann_file or cached_file(split.content)
    return Split(ann_file, split.img_dir, *classes_of(split.content, ann_file))


def cached_file(content: Mapping) -> Path:
    """A COCO file of this content in the cache folder.

    Raises:
        UserError: the cache folder cannot be written; ``XDG_CACHE_HOME`` names another.
    """
    written = json.dumps(content, ensure_ascii=False, sort_keys=True)
    text = written.encode('utf-8', 'backslashreplace')
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    path = cache / 'lighthead' / 'annotations' / f'{hashlib.sha256(text).hexdigest()[:24]}.json'
    if path.is_file() and path.stat().st_size == len(text):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_file(text, path)
    except OSError as error:
        raise UserError(
            f'{path} cannot be written ({error.strerror}): set XDG_CACHE_HOME to another folder.'
        ) from error
    return path
