"""Short versions of the long runs in docs/reliability.md."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .deploy.conftest import missing_for
from .soak import Record

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_kills_at_random_moments() -> None:
    tasks = ['inference', 'data conversion', 'checkpoint conversion']
    command = [sys.executable, '-m', 'tests.kills', '--kills', '10', '--only', *tasks]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert done.stdout.splitlines()[-1] == '10 kills survived'


@pytest.mark.slow
def test_threads_on_every_backend_get_the_answers_of_one(tmp_path: Path) -> None:
    """Too short to judge memory."""
    backends = ['torch', 'torch, fixed sizes']
    backends += [] if missing_for('onnx') else ['ONNX Runtime']
    out = tmp_path / 'soak.json'
    command = [sys.executable, '-m', 'tests.soak', '--minutes', '0.2', '--out', str(out)]
    done = subprocess.run([*command, '--only', *backends], cwd=ROOT, capture_output=True, text=True)
    assert out.exists(), done.stderr[-3000:]
    records = json.loads(out.read_text())
    assert [record['backend'] for record in records] == backends
    for record in records:
        assert record['images'] > 10
        assert record['refused'] > 0
        assert not record['differing']
        assert record['handles'][-1] <= max(record['handles'][:100])


def samples(mebibytes: list[float], handles: int = 5) -> Record:
    count = len(mebibytes)
    record = Record('x', 1.0, images=9, threads=[3] * count, mebibytes=mebibytes)
    record.seconds = [float(second) for second in range(count)]
    record.handles = [5] * (count - 1) + [handles]
    return record


def test_growth_is_told_from_noise() -> None:
    steady = [100 + (second * 7 % 5) for second in range(80)]
    assert samples(steady).faults() == []
    warming_up = [50 + 2.5 * second for second in range(20)] + steady[20:]
    assert samples(warming_up).faults() == []
    leaking = [value + 0.5 * second for second, value in enumerate(steady)]
    assert 'memory grew by 29' in samples(leaking).faults()[0]
    assert samples(steady, handles=6).faults() == ['handles: 5, at the end 6']
