"""Images in batches of the same padded size, and how many wait for it."""

from typing import NamedTuple

import numpy as np
import pytest

from lighthead import Detector
from lighthead.inference import batching
from lighthead.inference.batching import in_batches

from .jobs.fake_detector import use_fake_detector


class Item(NamedTuple):
    """An image of a number."""

    number: int
    resized: np.ndarray | None
    nbytes: int = 1


def items(sides: str, nbytes: int = 1) -> list[Item]:
    """An image of side 1 to 9 for each digit; ``-`` is one that the network does not see."""
    return [
        Item(number, None if side == '-' else np.zeros((int(side), 1, 3), np.uint8), nbytes)
        for number, side in enumerate(sides)
    ]


def batched(images, batch_size: int) -> tuple[list[int], list[str], list[int]]:
    """Numbers in the order of the results, the batches, and how many images were taken before
    each result."""
    batches, taken, waited = [], [0], []

    def run(resized):
        batches.append(''.join(str(len(image)) for image in resized))
        return [f'side {len(image)}' for image in resized]

    def counted():
        for one in images:
            taken[0] += 1
            yield one

    numbers = []
    for one, raw in in_batches(counted(), batch_size, lambda size: size, run):
        assert raw == (None if one.resized is None else f'side {len(one.resized)}')
        numbers.append(one.number)
        waited.append(taken[0])
    return numbers, batches, waited


@pytest.mark.parametrize(
    ('sides', 'batch_size', 'batches'),
    [
        ('', 2, []),
        ('111', 1, ['1', '1', '1']),
        ('1111', 2, ['11', '11']),
        ('1212', 2, ['11', '22']),
        ('12321', 2, ['22', '11', '3']),
        ('-1-1-', 2, ['11']),
        ('2' + '1' * 18, 2, ['11'] * 7 + ['2', '11', '11']),
    ],
)
def test_images_of_one_size_share_a_batch(sides, batch_size, batches):
    numbers, found, waited = batched(items(sides), batch_size)
    assert numbers == list(range(len(sides)))
    assert sorted(found) == sorted(batches)
    most = batching.BATCHES_WAITING * batch_size
    assert all(taken - number <= most for number, taken in zip(numbers, waited, strict=True))


def test_large_images_do_not_wait_long(monkeypatch):
    monkeypatch.setattr(batching, 'BYTES_WAITING', 25)
    _, batches, waited = batched(items('123456', nbytes=10), 4)
    assert batches == ['1', '2', '3', '4', '5', '6']
    assert waited == [3, 4, 5, 6, 6, 6]


def test_the_backend_says_what_is_fastest(monkeypatch, tmp_path):
    backend = use_fake_detector(monkeypatch.setattr)
    sizes = []
    backend.before_batch = lambda: sizes.append(backend.images)
    image = np.zeros((128, 160, 3), np.uint8)
    model = tmp_path / 'model.onnx'
    assert Detector(model).batch_size == 1
    detector = Detector(model, batch_size=None)
    assert detector.batch_size == backend.best_batch_size == 2
    list(detector.stream([image] * 4))
    list(detector.stream([image] * 3, batch_size=1))
    assert sizes == [0, 2, 4, 5, 6]
