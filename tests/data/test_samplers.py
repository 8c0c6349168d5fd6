"""Order, skipping, grouping by orientation and division among processes."""

import math
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from mmengine.dataset import DefaultSampler
from mmengine.hooks import DistSamplerSeedHook
from torch.utils.data import DataLoader

from lighthead.data.samplers import ResumableBatchSampler, ResumableSampler
from lighthead.engine.loop import rest_of


class Counted:
    """A data set of n images, every third one portrait, which counts what is loaded."""

    accepts_epoch = True

    def __init__(self, count: int) -> None:
        self.count = count
        self.loaded: list = []

    def __len__(self) -> int:
        return self.count

    def get_data_info(self, index: int) -> dict:
        return dict(width=30, height=40 if index % 3 == 0 else 20)

    def __getitem__(self, index: object) -> object:
        self.loaded.append(index)
        return index


def batches(
    count: int = 50, epoch: int = 0, seed: int = 0, size: int = 4, **kwargs: object
) -> ResumableBatchSampler:
    sampler = ResumableSampler(Counted(count), seed=seed)
    sampler.set_epoch(epoch)
    return ResumableBatchSampler(sampler, size, **kwargs)


def split_among(
    monkeypatch: pytest.MonkeyPatch, dataset: Counted, world_size: int, **kwargs: object
) -> Iterator[ResumableSampler]:
    for rank in range(world_size):
        monkeypatch.setattr(
            'mmengine.dataset.sampler.get_dist_info', lambda r=rank: (r, world_size)
        )
        yield ResumableSampler(dataset, seed=5, **kwargs)


def test_order_is_a_function_of_seed_and_epoch() -> None:
    assert list(batches(epoch=3, seed=1)) == list(batches(epoch=3, seed=1))
    orders = {
        tuple(index for batch in batches(epoch=epoch, seed=seed) for _, index in batch)
        for epoch in range(3)
        for seed in range(3)
    }
    assert len(orders) == 9
    assert all(sorted(order) == list(range(50)) for order in orders)


def test_without_shuffle_the_order_is_the_files() -> None:
    assert list(ResumableSampler(Counted(7), shuffle=False, seed=0)) == list(range(7))


def test_pairs_carry_the_epoch_for_data_sets_that_take_it() -> None:
    sampler = batches(epoch=6)
    assert {epoch for batch in sampler for epoch, _ in batch} == {6}
    sampler.sampler.dataset.accepts_epoch = False
    assert all(isinstance(index, int) for batch in sampler for index in batch)


@pytest.mark.parametrize('skip', [0, 1, 7, 12, 13, 40])
@pytest.mark.parametrize('workers', [0, 2])
def test_the_rest_is_the_tail_and_loads_nothing_before(skip: int, workers: int) -> None:
    sampler = batches(epoch=2)
    dataset = sampler.sampler.dataset
    loader = DataLoader(
        dataset, batch_sampler=sampler, num_workers=workers, collate_fn=list,
        persistent_workers=workers > 0,
    )  # fmt: skip
    whole = list(loader)
    dataset.loaded.clear()
    rest = rest_of(loader, skip)
    assert len(loader) == len(whole) == 13
    tail = list(rest)
    assert tail == whole[skip:]
    if workers == 0:
        assert dataset.loaded == [pair for batch in whole[skip:] for pair in batch]
    assert list(loader) == whole, 'the loader itself stays as it is'


@pytest.mark.parametrize('count', [1, 7, 48, 50])
@pytest.mark.parametrize('drop_last', [False, True])
@pytest.mark.parametrize('group', [False, True])
def test_length_and_coverage(count: int, drop_last: bool, group: bool) -> None:
    sampler = batches(count, drop_last=drop_last, group_by_aspect_ratio=group)
    lists = list(sampler)
    assert len(lists) == len(sampler) == (count // 4 if drop_last else math.ceil(count / 4))
    indices = [index for batch in lists for _, index in batch]
    assert len(set(indices)) == len(indices)
    if not drop_last:
        assert sorted(indices) == list(range(count))


def test_batches_are_of_one_orientation_up_to_the_rest() -> None:
    mixed = [len({index % 3 == 0 for _, index in batch}) > 1 for batch in batches(50)]
    assert not any(mixed[:-2])
    ungrouped = batches(50, group_by_aspect_ratio=False)
    assert any(len({index % 3 == 0 for _, index in batch}) > 1 for batch in list(ungrouped)[:-2])


@pytest.mark.parametrize(('count', 'world_size'), [(50, 3), (7, 4), (2, 5), (48, 2)])
def test_processes_share_all_images_evenly(
    count: int, world_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Counted(count)
    samplers = list(split_among(monkeypatch, dataset, world_size))
    parts = [list(sampler) for sampler in samplers]
    assert {len(part) for part in parts} == {math.ceil(count / world_size)}
    assert {index for part in parts for index in part} == set(range(count))
    lengths = {len(list(ResumableBatchSampler(sampler, 4))) for sampler in samplers}
    assert lengths == {len(ResumableBatchSampler(samplers[0], 4))}


def test_evaluation_sees_every_image_once_as_with_mmengine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samplers = list(split_among(monkeypatch, Counted(7), 3, shuffle=False))
    # mmengine interleaves the processes' results and cuts them to the data set's length
    interleaved = [index for group in zip(*samplers, strict=True) for index in group]
    assert interleaved[:7] == list(range(7))
    monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (2, 3))
    assert list(samplers[2]) == list(DefaultSampler(Counted(7), shuffle=False, seed=5))
    uneven = split_among(monkeypatch, Counted(7), 3, shuffle=False, round_up=False)
    assert sorted(index for sampler in uneven for index in sampler) == list(range(7))


def test_mmengines_hook_sets_the_epoch() -> None:
    loader = DataLoader(Counted(8), batch_sampler=batches(8), collate_fn=list)
    runner = SimpleNamespace(train_loop=SimpleNamespace(dataloader=loader), epoch=5)
    DistSamplerSeedHook().before_train_epoch(runner)
    assert {epoch for batch in loader for epoch, _ in batch} == {5}
