"""SIGKILL at random moments, and ``--resume`` after each: every image exactly once, none lost.

``LIGHTHEAD_KILLS=50`` for more of them.
"""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .fake_detector import write_images

SCRIPT = Path(__file__).with_name('fake_detector.py')
KILLS = int(os.environ.get('LIGHTHEAD_KILLS', '6'))
IMAGES = 80 * KILLS
PER_IMAGE = 0.01
DEADLINE = 300


def start(out: Path, *inputs: str | Path) -> subprocess.Popen:
    line = [sys.executable, SCRIPT, out, str(PER_IMAGE), *inputs]
    return subprocess.Popen(list(map(str, line)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def lines_of(out: Path) -> int:
    journal = out / 'predictions.jsonl'
    return journal.read_bytes().count(b'\n') if journal.exists() else 0


def kill_at_random(process: subprocess.Popen, out: Path, rng: random.Random) -> bool:
    """After some more results, or at any time from the start; False if the run was done before."""
    until, begun = lines_of(out) + rng.randrange(1, 10), time.monotonic()
    anywhere = rng.random() < 0.25
    if anywhere:
        time.sleep(rng.uniform(0, 2))
    while not anywhere and process.poll() is None and lines_of(out) < until:
        assert time.monotonic() - begun < DEADLINE
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.03))
    process.kill()
    return process.wait() < 0


@pytest.mark.slow
def test_every_image_exactly_once(tmp_path):
    seed = random.randrange(2**32)
    print('seed', seed)
    rng = random.Random(seed)
    images = write_images(tmp_path / 'in', IMAGES)
    whole, out = tmp_path / 'whole', tmp_path / 'out'
    assert start(whole, tmp_path / 'in').wait(DEADLINE) == 0
    kills = after_results = 0
    while kills < KILLS:
        before = lines_of(out)
        process = start(out, tmp_path / 'in', '--resume')
        if not kill_at_random(process, out, rng):
            assert process.returncode == 0, process.stderr.read().decode()
            break
        kills += 1
        after_results += lines_of(out) > before
    last = start(out, tmp_path / 'in', '--resume')
    assert last.wait(DEADLINE) == 0, last.stderr.read().decode()
    print(f'{kills} kills, {after_results} of them after new results, {IMAGES} images')
    assert kills >= min(KILLS, 5)
    assert after_results > 0
    lines = (out / 'predictions.jsonl').read_text().splitlines()
    paths = [json.loads(line)['path'] for line in lines]
    assert paths == [path.as_posix() for path in images]
    for name in ('predictions.jsonl', 'predictions.json'):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    for path in (whole / 'vis').iterdir():
        assert (out / 'vis' / path.name).read_bytes() == path.read_bytes()
    assert not list(out.rglob('.*')), 'temporary files of killed processes'
