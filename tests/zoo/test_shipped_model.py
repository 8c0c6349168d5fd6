"""The model that ships, from its name to boxes, and the command that lists it."""

import json
from pathlib import Path

import matplotlib as mpl
import pytest

from lighthead import Detector
from lighthead.cli import main
from lighthead.zoo import entries

PORTRAIT = Path(mpl.get_data_path()) / 'sample_data' / 'grace_hopper.jpg'
"""A photograph in the public domain, 512 x 600; the person fills it."""


def test_finds_the_person_of_a_portrait() -> None:
    detections = Detector('lighthead-people', score_thr=0.5)(str(PORTRAIT))
    assert list(detections.names) == ['person']
    x1, y1, x2, y2 = detections.boxes[0]
    assert x1 < 60
    assert y1 < 60
    assert x2 > 450
    assert y2 > 540


def test_the_model_of_80_classes_finds_person_and_tie() -> None:
    detections = Detector('lighthead-coco')(str(PORTRAIT))
    assert list(detections.names[:2]) == ['person', 'tie']
    assert len(Detector('lighthead-coco').classes) == 80


def test_a_picture_without_people_has_no_detections() -> None:
    image = Path(mpl.get_data_path()) / 'images' / 'matplotlib_large.png'
    assert len(Detector('lighthead-people')(str(image))) == 0


def test_the_command_lists_what_can_be_named(capsys) -> None:
    assert main(['models']) == 0
    assert 'lighthead-people' in capsys.readouterr().out
    assert main(['models', '--json']) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [model['name'] for model in listed] == list(entries())


@pytest.mark.parametrize('name', sorted(entries()))
def test_entries_point_at_what_exists(name) -> None:
    root = Path(__file__).resolve().parents[2]
    entry = entries()[name]
    assert (root / entry.config).is_file()
    assert (root / entry.card).is_file()
    assert f'{entry.metrics.AP:.3f}' in (root / entry.card).read_text()
