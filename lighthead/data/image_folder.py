"""Images in class folders (ImageNet's layout), for the pretraining of backbones.

``ROOT/train/<class>/*.JPEG`` and ``ROOT/val/<class>/*.JPEG``; label i is the
i-th class folder in alphabetical order, as torchvision and Keras have it.
"""

import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import DATASETS
from mmengine.logging import print_log
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from lighthead.data.dataset import UnreadableImageError, seeded_rng
from lighthead.errors import UserError

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.ppm', '.tif', '.tiff')


def list_classes(folder: str | Path) -> list[str]:
    """Names of the class folders in a split's folder, in alphabetical order.

    Raises:
        UserError: if the folder is missing or holds no class folders.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f'There is no folder {folder}: images of a class are expected in '
            f'{folder}/<class>/ (set the data root with --data-root).'
        )
    with os.scandir(folder) as listing:
        entries = list(listing)
    classes = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith('.'))
    if not classes:
        images = sum(e.name.lower().endswith(SUFFIXES) for e in entries)
        what = f'holds {images} images but no class folders' if images else 'is empty'
        raise UserError(f'{folder} {what}: put the images of each class into {folder}/<class>/.')
    return classes


def training_transform(
    size: int = 224,
    scale: Sequence[float] = (0.08, 1.0),
    flip_prob: float = 0.5,
    color_jitter: float = 0.0,
) -> v2.Transform:
    """A random crop of the part ``scale`` of the area, jittered colours, a mirror image.

    Args:
        size: Height and width of the result in pixels.
        color_jitter: Largest relative change of brightness, contrast and saturation.
    """
    steps: list[v2.Transform] = [v2.RandomResizedCrop(size, tuple(scale), antialias=True)]
    if color_jitter:
        steps.append(v2.ColorJitter(color_jitter, color_jitter, color_jitter))
    return v2.Compose([*steps, v2.RandomHorizontalFlip(flip_prob), v2.PILToTensor()])


def evaluation_transform(size: int = 224, resize: int = 256) -> v2.Transform:
    """The central ``size`` x ``size`` pixels of the image with short side ``resize``."""
    return v2.Compose([v2.Resize(resize, antialias=True), v2.CenterCrop(size), v2.PILToTensor()])


@DATASETS.register_module()
class ImageFolderDataset(Dataset):
    """One split of an image folder, reproducible.

    Indexed with (epoch, index), the augmentation is a function of (seed, epoch,
    index); a plain index leaves the random generators alone.

    Args:
        data_root: Folder with ``train/`` and ``val/``.
        split: Which of them.
        classes: Names in the order of the labels; by default, the split's own folders.
            Some may have no images in this split.
        transform: Arguments of :func:`training_transform`, or :func:`evaluation_transform`
            where ``test_mode`` is set.
        seed: The run's seed.
    """

    accepts_epoch = True

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        classes: Sequence[str] | None = None,
        transform: dict | None = None,
        test_mode: bool = False,
        seed: int = 0,
    ) -> None:
        self.folder = Path(data_root) / split
        present = list_classes(self.folder)
        self.metainfo = dict(classes=tuple(present if classes is None else classes))
        unknown = sorted(set(present) - set(self.metainfo['classes']))
        if unknown:
            raise UserError(
                f'{self.folder}/{unknown[0]} is none of the {len(self.metainfo["classes"])} '
                f'classes ({self.metainfo["classes"][0]}, ...): the folders of all splits need '
                'the same names as those that the network is trained on.'
            )
        self.transform = (evaluation_transform if test_mode else training_transform)(
            **(transform or {})
        )
        self.seed = seed
        # arrays of bytes: a million strings would be copied into every worker process
        self._names, self._ends = self._scan(set(present))

    def _scan(self, present: set[str]) -> tuple[list[np.ndarray], list[int]]:
        """File names of each class, and the running total of their number."""
        names = []
        for name in self.metainfo['classes']:
            files: list[str] = []
            if name in present:
                with os.scandir(self.folder / name) as entries:
                    files = sorted(e.name for e in entries if e.name.lower().endswith(SUFFIXES))
                if not files:
                    raise UserError(
                        f'{self.folder / name} holds no images: add some ({", ".join(SUFFIXES)}), '
                        'or remove the folder.'
                    )
            names.append(np.array([os.fsencode(file) for file in files]))
        ends = list(accumulate(map(len, names)))
        print_log(f'{self.folder}: {ends[-1]} images, {len(present)} classes', 'current')
        return names, ends

    def __len__(self) -> int:
        return self._ends[-1]

    def path_and_label(self, index: int) -> tuple[Path, int]:
        """File and label of an image."""
        label = bisect_right(self._ends, index)
        first = self._ends[label - 1] if label else 0
        name = os.fsdecode(self._names[label][index - first])
        return self.folder / self.metainfo['classes'][label] / name, label

    def __getitem__(self, index: int | tuple[int, int]) -> dict[str, Tensor | int]:
        """``inputs``, (3, size, size) in uint8 and BGR as mmcv reads images, and the label."""
        if not isinstance(index, tuple):
            return self._load(index)
        epoch, index = index
        with seeded_rng(self.seed, epoch, index):
            return self._load(index)

    def _load(self, index: int) -> dict[str, Tensor | int]:
        path, label = self.path_and_label(index)
        try:
            with Image.open(path) as file:
                image = file.convert('RGB')
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UnreadableImageError(
                f'{path} cannot be read as an image ({type(error).__name__}): replace or remove it.'
            ) from error
        return dict(inputs=self.transform(image)[[2, 1, 0]], data_samples=torch.tensor(label))
