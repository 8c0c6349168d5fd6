"""A job that gets SIGKILL at random moments and is started again: every image is one row.

``LIGHTHEAD_KILLS=20`` for more kills, of more images.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KILLS = int(os.environ.get('LIGHTHEAD_KILLS', '3'))


@pytest.mark.slow
def test_every_image_is_one_row(tmp_path):
    """The benchmark checks the rows itself; here, that kills came in between."""
    (tmp_path / 'model.onnx').write_bytes(b'a model')
    seed = random.randrange(2**32)
    line = [sys.executable, ROOT / 'benchmarks/batch_kills.py', tmp_path / 'model.onnx']
    line += ['--no-network', '--images', 10_000 * KILLS, '--kills', KILLS, '--seed', seed]
    environment = os.environ | dict(PYTHONPATH=str(ROOT), TMPDIR=str(tmp_path))
    done = subprocess.run(
        list(map(str, line)), env=environment, capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, f'seed {seed}: {done.stdout}{done.stderr}'
    assert '\nkill ' in done.stdout, f'seed {seed}: {done.stdout}'
