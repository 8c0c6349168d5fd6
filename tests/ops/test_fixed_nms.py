"""Suppression of a fixed size against torchvision's."""

import pytest
import torch
import torchvision

from lighthead.ops import fixed_nms as module
from lighthead.ops.fixed_nms import fixed_nms


def crowd(batch: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """Boxes (B, N, 4) around few places, so that many overlap."""
    places = torch.rand(batch, 12, 2, generator=generator) * 300
    which = torch.randint(12, (batch, count), generator=generator)
    centres = places.gather(1, which[..., None].expand(-1, -1, 2))
    centres = centres + torch.randn(batch, count, 2, generator=generator) * 15
    sides = torch.rand(batch, count, 2, generator=generator) * 60 + 5
    return torch.cat((centres - sides / 2, centres + sides / 2), dim=2)


def expected(boxes, valid, iou, labels=None):
    """torchvision's answer for one image, as a mask."""
    index = valid.nonzero().squeeze(1)
    scores = torch.arange(len(index), 0, -1.0)
    if labels is None:
        kept = torchvision.ops.nms(boxes[index], scores, iou)
    else:
        apart = labels[index, None].double() * 10_000
        kept = torchvision.ops.nms(boxes[index].double() + apart, scores.double(), iou)
    return torch.zeros_like(valid).index_fill(0, index[kept], True)


@pytest.mark.parametrize('count', [1, 7, 1024, 2500])
@pytest.mark.parametrize('iou', [0.3, 0.5, 0.7])
def test_equals_torchvisions(count, iou):
    generator = torch.Generator().manual_seed(count)
    boxes = crowd(2, count, generator)
    valid = torch.rand(2, count, generator=generator) > 0.1
    kept, settled = fixed_nms(boxes, valid, iou, rounds=64)
    assert settled.all()
    for image in range(2):
        assert torch.equal(kept[image], expected(boxes[image], valid[image], iou))
    assert count < 1000 or 0.02 < kept.float().mean() < 0.9, 'the test needs suppression'


def test_classes_do_not_touch():
    generator = torch.Generator().manual_seed(0)
    boxes = crowd(2, 1500, generator).double()
    labels = torch.randint(5, (2, 1500), generator=generator)
    valid = torch.ones(2, 1500, dtype=torch.bool)
    kept, settled = fixed_nms(boxes, valid, 0.5, labels, rounds=64)
    assert settled.all()
    for image in range(2):
        assert torch.equal(kept[image], expected(boxes[image], valid[image], 0.5, labels[image]))


def test_tells_when_the_rounds_do_not_suffice():
    # Each box overlaps the next alone: every second is kept, and that takes as many rounds.
    starts = torch.arange(40.0)[:, None] * 3
    chain, apart = (
        torch.cat((x, x * 0, x + 10, x * 0 + 10), dim=1)[None] for x in (starts, starts * 100)
    )
    boxes, valid = torch.cat((chain, apart)), torch.ones(2, 40, dtype=torch.bool)
    kept, settled = fixed_nms(boxes, valid, 0.5, rounds=8)
    assert settled.tolist() == [False, True]
    kept, settled = fixed_nms(boxes, valid, 0.5, rounds=41)
    assert settled.all()
    assert torch.equal(kept[0], expected(chain[0], valid[0], 0.5))
    assert kept[0].sum() == 20
    assert kept[1].all()


def test_blocks_change_nothing(monkeypatch):
    boxes = crowd(2, 300, torch.Generator().manual_seed(1))
    valid = torch.ones(2, 300, dtype=torch.bool)
    whole = fixed_nms(boxes, valid, 0.6, rounds=64)
    monkeypatch.setattr(module, 'BLOCK', 37)
    pieces = fixed_nms(boxes, valid, 0.6, rounds=64)
    assert torch.equal(whole.kept, pieces.kept)
    assert pieces.settled.all()
