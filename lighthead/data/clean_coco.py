"""The COCO API over cleaned boxes."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

from mmdet.datasets.api_wrappers import COCO

from lighthead.data.clean import BoxReport, load_clean_boxes


class CleanCOCO(COCO):
    """The COCO API that mmdet uses, over cleaned boxes.

    Category ids come in the order of the names asked for, so that label i is
    always class i of the config, whatever order the JSON has.

    Args:
        annotation_file: Path of a COCO annotation file, or None for an empty one.
    """

    def __init__(self, annotation_file: str | Path | None = None) -> None:
        self.report = BoxReport()
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
            super().__init__()
            if annotation_file is not None:
                self.dataset, self.report = load_clean_boxes(annotation_file)
                self.createIndex()
        self.img_ann_map = self.imgToAnns
        self.cat_img_map = self.catToImgs

    def get_cat_ids(
        self,
        cat_names: Sequence[str] = (),
        sup_names: Sequence[str] = (),
        cat_ids: Sequence[int] = (),
    ) -> list[int]:
        """Ids of the categories asked for; by name: in the order of the names."""
        ids = super().get_cat_ids(cat_names, sup_names, cat_ids)
        if not cat_names:
            return ids
        order = {name: position for position, name in enumerate(cat_names)}
        return sorted(ids, key=lambda cat_id: order[self.cats[cat_id]['name']])

    def category_ids(self, classes: Sequence[str]) -> list[int | None]:
        """The category id of each class, None for a class that the file lacks."""
        by_name = {category['name']: cat_id for cat_id, category in self.cats.items()}
        return [by_name.get(name) for name in classes]
