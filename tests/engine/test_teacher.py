"""What NanoDet-Plus' maps become for a student."""

import pytest
import torch

from lighthead.engine import teacher
from lighthead.engine.teacher import NanoDetTeacher

SIDES = {8: 8, 16: 4, 32: 2, 64: 1}


def maps_of_one_object() -> dict[str, torch.Tensor]:
    """64 x 64 pixels; class 1 of 3 at column 2, row 1 of stride 16, two strides to each side."""
    maps = {}
    for stride, side in SIDES.items():
        maps[f'cls{stride}'] = torch.zeros(1, 3, side, side)
        maps[f'dis{stride}'] = torch.zeros(1, 32, side, side)
        maps[f'level{stride}'] = torch.zeros(1, 96, side, side)
    maps['cls16'][0, 1, 1, 2] = 0.8
    maps['dis16'].view(1, 4, 8, 4, 4)[0, :, 2, 1, 2] = 50.0
    return maps


@pytest.fixture
def nanodet(monkeypatch) -> NanoDetTeacher:
    maps = maps_of_one_object()
    monkeypatch.setattr(teacher, 'NcnnNetwork', lambda *files: lambda given, names: maps)
    monkeypatch.setattr(NanoDetTeacher, 'levels', ('level8', 'level16', 'level32', 'level64'))
    return NanoDetTeacher('nanodet.param', 'nanodet.bin')


def test_the_likeliest_places_are_boxes_in_pixels(nanodet) -> None:
    places, boxes, levels = nanodet(torch.zeros(1, 3, 64, 64), [])
    assert places[0].scores.shape == (64 + 16 + 4 + 1, 1)
    assert places[0].scores[64 + 4 + 2].item() == pytest.approx(0.8)
    assert boxes[0].bboxes[0].tolist() == pytest.approx([0, -16, 64, 48], abs=1e-3)
    assert boxes[0].scores[0].tolist() == pytest.approx([0, 0.8, 0])
    assert len(boxes[0]) == 64 + 16 + 4 + 1
    assert [tuple(level.shape[2:]) for level in levels] == [(8, 8), (4, 4), (2, 2), (1, 1)]


def test_chosen_classes_count_alone(nanodet) -> None:
    nanodet.classes = [0]
    places, boxes, _ = nanodet(torch.zeros(1, 3, 64, 64), [])
    assert places[0].scores.max() == 0
    assert boxes[0].scores.shape == (85, 1)
