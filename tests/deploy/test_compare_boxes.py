"""docs/deploy/compare_boxes.py, by which arm64.sh says whether two machines find the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'docs' / 'deploy' / 'compare_boxes.py'
BOXES = [[10.0, 20.0, 30.0, 40.0], [50.0, 20.0, 90.0, 40.0]]


def write(path: Path, boxes: list, scores: list, name: str = 'a.jpg') -> Path:
    line = dict(path=name, boxes=boxes, scores=scores, labels=[0] * len(boxes))
    path.write_text(json.dumps(line) + '\n')
    return path


@pytest.mark.parametrize(
    ('boxes', 'scores', 'code', 'message'),
    [
        (BOXES, [0.9, 0.8], 0, '2 boxes in 1 images: sides differ by 0 pixels'),
        (BOXES[::-1], [0.8, 0.9], 0, '0 without counterpart'),
        ([[10.0, 20.0, 30.04, 40.0], BOXES[1]], [0.9, 0.8], 0, '0.04 pixels'),
        ([[10.0, 20.0, 30.2, 40.0], BOXES[1]], [0.9, 0.8], 1, '2 without counterpart'),
        (BOXES, [0.9, 0.7], 1, '2 without counterpart'),
        (BOXES[:1], [0.9], 1, '1 without counterpart'),
        ([], [], 1, '2 without counterpart'),
    ],
)
def test_exit_code_and_message(tmp_path, boxes, scores, code, message):
    here = write(tmp_path / 'here.jsonl', BOXES, [0.9, 0.8])
    there = write(tmp_path / 'there.jsonl', boxes, scores)
    line = [sys.executable, str(SCRIPT), str(here), str(there)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (done.returncode, message in done.stdout) == (code, True), done.stdout + done.stderr


def test_other_images_and_nothing_to_compare(tmp_path):
    here = write(tmp_path / 'here.jsonl', BOXES, [0.9, 0.8])
    there = write(tmp_path / 'there.jsonl', BOXES, [0.9, 0.8], 'other.jpg')
    empty = write(tmp_path / 'empty.jsonl', [], [])
    for pair in ((here, there), (there, here), (empty, empty)):
        line = [sys.executable, str(SCRIPT), *map(str, pair)]
        assert subprocess.run(line, capture_output=True, timeout=60).returncode == 1
