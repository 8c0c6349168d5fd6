"""A disk that is full: an error message, whole files, no temporary ones."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lighthead.inference.video import VideoWriter

from .fake_detector import write_images

SCRIPT = Path(__file__).with_name('fake_detector.py')
ROOM = 12_000
"""Bytes that a file may have: more than the journal needs, less than a large drawing."""


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


def infer(out: Path, *inputs: Path, limited: bool = True) -> subprocess.CompletedProcess:
    line = [sys.executable, SCRIPT, out, '0', *inputs]
    limit = limit_files if limited else None
    return subprocess.run(
        list(map(str, line)), capture_output=True, text=True, timeout=300, preexec_fn=limit
    )


def write_noise(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 120, 3), dtype=np.uint8)
    if path.suffix == '.avi':
        with VideoWriter(path, 10, noise.shape[:2]) as writer:
            for shift in range(20):
                writer.write(np.roll(noise, shift, axis=1))
    else:
        cv2.imwrite(str(path), noise)


@pytest.mark.parametrize('name', ['noise.png', 'noise.avi'])
def test_a_drawing_that_does_not_fit(tmp_path, name):
    small = write_images(tmp_path / 'in', 3)
    small = [path.rename(path.with_suffix('.jpg')) for path in small]
    write_noise(tmp_path / name)
    out = tmp_path / 'out'
    done = infer(out, *small, tmp_path / name)
    assert done.returncode == 2, done.stderr
    assert f'{name} c' in done.stderr
    assert 'written' in done.stderr
    assert 'Traceback' not in done.stderr
    assert not [path for path in out.rglob('*') if path.name.startswith('.')]
    assert not (out / 'vis' / name).exists()
    lines = [json.loads(line) for line in (out / 'predictions.jsonl').read_text().splitlines()]
    images = [line['path'] for line in lines if 'frame' not in line]
    assert images == [path.as_posix() for path in small]
    again = infer(out, *small, tmp_path / name, '--resume', limited=False)
    assert again.returncode == 0, again.stderr
    assert '3 of 4 inputs are done already' in again.stderr
    assert (out / 'vis' / name).exists()
