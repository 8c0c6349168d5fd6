"""Samplers whose order is a function of (seed, epoch, rank), and which can skip ahead.

Resuming in the middle of an epoch takes the rest of the same list of batches;
what was trained before is skipped as numbers, without opening an image.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmdet.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler
from torch.utils.data import BatchSampler


@DATA_SAMPLERS.register_module()
class ResumableSampler(DefaultSampler):
    """mmengine's DefaultSampler with an order that differs for each (seed, epoch).

    Each process gets every ``world_size``-th image of one common order. With
    ``round_up`` (the default) the order is continued from its start until all
    processes have equally many; mmengine's evaluation cuts these repeats off
    again, so every image counts once.

    Args: as DefaultSampler's (dataset, shuffle, seed, round_up).
    """

    def __iter__(self) -> Iterator[int]:
        count = len(self.dataset)
        if self.shuffle:
            # seed + epoch, as DefaultSampler has it, repeats one run's epochs in another's
            order = np.random.default_rng([self.seed, self.epoch]).permutation(count)
        else:
            order = np.arange(count)
        padded = np.resize(order, self.total_size)
        return iter(padded[self.rank :: self.world_size].tolist())


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(BatchSampler):
    """Batches of (epoch, index), of one orientation each.

    Portrait and landscape images go to different batches, which saves padding.
    What is left at the end of an epoch (less than a batch of each) is mixed,
    so there are always ceil(samples / batch_size) batches, or floor with
    ``drop_last``: the same number in every process.

    The pairs tell :class:`lighthead.data.dataset.CocoDetDataset` which epoch's
    augmentation to draw; any other data set gets plain indices.

    Args:
        sampler: Where the order comes from; :class:`ResumableSampler` to resume exactly.
        batch_size: Images per batch and process.
        drop_last: Whether to leave out an incomplete last batch.
        group_by_aspect_ratio: Whether to keep portrait and landscape apart.
    """

    sampler: ResumableSampler

    def __init__(
        self,
        sampler: ResumableSampler,
        batch_size: int,
        drop_last: bool = False,
        group_by_aspect_ratio: bool = True,
    ) -> None:
        super().__init__(sampler, batch_size, drop_last)
        self.group_by_aspect_ratio = group_by_aspect_ratio
        self._portrait: np.ndarray | None = None

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order and augmentation the next iteration has."""
        self.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[Any]]:
        # Not a generator: the epoch holds from the moment of this call,
        # whenever workers fetch the first batch.
        epoch = getattr(self.sampler, 'epoch', 0)
        batches: Iterator[list[Any]] = self._index_batches(list(self.sampler))
        if getattr(self.sampler.dataset, 'accepts_epoch', False):
            batches = ([(epoch, index) for index in batch] for batch in batches)
        return batches

    def _index_batches(self, indices: list[int]) -> Iterator[list[int]]:
        portrait = self._orientations() if self.group_by_aspect_ratio else None
        buckets: tuple[list[int], list[int]] = ([], [])
        for index in indices:
            bucket = buckets[0 if portrait is None else int(portrait[index])]
            bucket.append(index)
            if len(bucket) == self.batch_size:
                yield bucket.copy()
                bucket.clear()
        rest = buckets[0] + buckets[1]
        for start in range(0, len(rest), self.batch_size):
            batch = rest[start : start + self.batch_size]
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def _orientations(self) -> np.ndarray:
        """Which images are higher than wide, by the annotation file; read once."""
        if self._portrait is None:
            dataset = self.sampler.dataset
            infos = (dataset.get_data_info(index) for index in range(len(dataset)))
            self._portrait = np.array([info['width'] < info['height'] for info in infos])
        return self._portrait
