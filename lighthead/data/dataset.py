"""COCO data set whose classes come from its JSON and whose augmentation can be replayed."""

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.logging import print_log

from lighthead.data.classes import classes_of, palette_for
from lighthead.data.clean import CLEANED
from lighthead.data.clean_coco import CleanCOCO
from lighthead.data.parsed_once import forget
from lighthead.errors import UserError


class UnreadableImageError(UserError):
    """An image file cannot be read.

    A worker process of torch's DataLoader hands its errors on as a traceback
    in text; of that, the sentence is kept.
    """

    def __init__(self, message: str) -> None:
        if message.startswith('Caught '):
            message = message.strip().rpartition(f'{type(self).__name__}: ')[2]
        super().__init__(message)


@contextmanager
def seeded_rng(*entropy: int) -> Iterator[None]:
    """Seed Python's, numpy's and torch's CPU generators inside the block, then restore them.

    Without worker processes the data set runs inside the training process,
    whose own random numbers must not depend on it.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch_state = torch.get_rng_state()
    seeds = np.random.SeedSequence(entropy).generate_state(3).tolist()
    try:
        random.seed(seeds[0])
        np.random.seed(seeds[1])
        torch.default_generator.manual_seed(seeds[2])  # torch.manual_seed would touch CUDA too
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)


@DATASETS.register_module()
class CocoDetDataset(CocoDataset):
    """CocoDataset for any classes, over cleaned boxes, reproducible.

    - Without ``metainfo.classes`` the classes are the JSON's, in its order.
      Label i is class i, matched by name; category ids may have gaps.
    - Images without boxes are kept unless ``filter_cfg`` says otherwise; the
      log gives their number.
    - Indexed with (epoch, index), the pipeline's random numbers (and the
      choice of another image where it returns None) are a function of (seed,
      epoch, index), whatever the number of workers, and the generators' states
      are restored after. A plain index leaves the generators alone.
    - An image of another size than the file says is reported once.

    Args:
        seed: The run's seed.
        metainfo: As in mmdet; ``classes`` may be left out.
        kwargs: As CocoDataset's.
    """

    COCOAPI = CleanCOCO
    accepts_epoch = True

    def __init__(
        self, *args: Any, seed: int = 0, metainfo: Mapping | None = None, **kwargs: Any
    ) -> None:
        self.seed = seed
        self._warned_of_size = False
        self._classes_given = metainfo is not None and metainfo.get('classes') is not None
        super().__init__(*args, metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the annotation file.

        Returns:
            One dict per image, in the file's order, as mmdet's pipelines take it.
        """
        self.coco = self.COCOAPI(self.ann_file)
        if not self.test_mode:  # otherwise the metric reads the file next
            forget(self.ann_file, CLEANED)
        self._set_classes(self.coco)
        self.cat_img_map = self.coco.cat_img_map
        data_list = []
        for img_id, image in self.coco.imgs.items():
            annotations = self.coco.img_ann_map.get(img_id, [])
            data_list.append(
                self.parse_data_info(
                    dict(raw_ann_info=annotations, raw_img_info={**image, 'img_id': img_id})
                )
            )
        print_log(self._describe(data_list), logger='current')
        del self.coco
        if not data_list:
            raise UserError(f'{self.ann_file} lists no images.')
        return data_list

    def _set_classes(self, coco: CleanCOCO) -> None:
        if not self._classes_given:
            classes, _ = classes_of(coco.dataset, self.ann_file)
            self._metainfo.update(classes=classes, palette=palette_for(classes))
        classes = tuple(self._metainfo['classes'])
        if len(self._metainfo.get('palette') or ()) < len(classes):
            self._metainfo['palette'] = palette_for(classes)
        ids = coco.category_ids(classes)
        if not any(cat_id is not None for cat_id in ids):
            names = [category['name'] for category in coco.cats.values()]
            raise UserError(
                f'None of the classes in metainfo ({_few(classes)}) is a category of '
                f'{self.ann_file} ({_few(names)}): correct metainfo.classes, or leave it out.'
            )
        self._metainfo['category_ids'] = tuple(ids)
        self.cat2label = {cat_id: i for i, cat_id in enumerate(ids) if cat_id is not None}
        self.cat_ids = list(self.cat2label)

    def _describe(self, data_list: Sequence[dict]) -> str:
        empty = sum(not info['instances'] for info in data_list)
        return (
            f'{self.ann_file}: {len(data_list)} images ({empty} without boxes), '
            f'{len(self._metainfo["classes"])} classes, {self.coco.report}'
        )

    def filter_data(self) -> list[dict]:
        """Apply ``filter_cfg`` as mmdet does, and say how many images it took out."""
        kept = super().filter_data()
        if len(kept) < len(self.data_list):
            left_out = len(self.data_list) - len(kept)
            print_log(f'{self.ann_file}: filter_cfg leaves out {left_out} images', 'current')
        if not kept:
            raise UserError(f'filter_cfg leaves no image of {self.ann_file}: loosen it.')
        return kept

    def __getitem__(self, index: int | tuple[int, int]) -> dict:
        if not isinstance(index, tuple):
            return super().__getitem__(index)
        epoch, index = index
        with seeded_rng(self.seed, epoch, index):
            return super().__getitem__(index)

    def prepare_data(self, idx: int) -> dict | None:
        """The pipeline's result for one image; None makes the caller take another."""
        try:
            result = super().prepare_data(idx)
        except Exception as error:
            path = Path(self.get_data_info(idx)['img_path'])
            if not path.is_file():
                raise UnreadableImageError(f'The image {path} does not exist.') from error
            if cv2.imread(str(path)) is None:
                raise UnreadableImageError(
                    f'{path} cannot be read as an image: replace it, or take it out of '
                    f'{self.ann_file}.'
                ) from error
            raise
        self._compare_sizes(idx, result)
        return result

    def _compare_sizes(self, idx: int, result: object) -> None:
        """Warn of the first image whose file is of another size than the annotations say."""
        sample = result.get('data_samples') if isinstance(result, dict) else None
        if self._warned_of_size or sample is None or 'ori_shape' not in sample:
            return
        info, (height, width) = self.get_data_info(idx), sample.ori_shape
        if (info['width'], info['height']) != (width, height):
            self._warned_of_size = True
            print_log(
                f'{info["img_path"]} is {width} x {height} pixels, but {self.ann_file} says '
                f'{info["width"]} x {info["height"]}: its boxes lie elsewhere (was it resized, or '
                'turned by an EXIF tag?). Other images may have the same fault.',
                'current',
                logging.WARNING,
            )


def _few(names: Sequence[str]) -> str:
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')
