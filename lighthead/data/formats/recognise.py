"""Which format a folder is in."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lighthead.data.formats.coco import is_coco, read_coco
from lighthead.data.formats.labelled import LabelledData, LabelledSplit
from lighthead.data.formats.labelme import is_labelme, read_labelme
from lighthead.data.formats.voc import is_voc, read_voc
from lighthead.data.formats.yolo import is_yolo, read_yolo
from lighthead.errors import UserError


class Format(NamedTuple):
    """How a format is recognised and read."""

    name: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], dict[str, LabelledSplit]]


FORMATS = (
    Format('COCO', is_coco, read_coco),
    Format('YOLO', is_yolo, read_yolo),
    Format('Pascal VOC', is_voc, read_voc),
    Format('LabelMe', is_labelme, read_labelme),
)
"""In the order in which they are tried."""


def read_dataset(root: str | os.PathLike) -> LabelledData:
    """Recognise the format of a data set and read it.

    Raises:
        UserError: the folder is missing, in no known format, or malformed.
    """
    root = Path(os.path.abspath(root))
    if not root.is_dir():
        raise UserError(f'The data folder {root} does not exist: check the path.')
    for form in FORMATS:
        if form.fits(root):
            splits = form.read(root)
            order = [name for name in ('train', 'val', 'test') if name in splits]
            if order:
                return LabelledData(root, form.name, {name: splits[name] for name in order})
    raise UserError(
        f'{root} is in no known format: it needs a COCO JSON file, a YOLO data.yaml, Pascal VOC '
        'XML files or LabelMe JSON files (data/README.md shows the layouts).'
    )
