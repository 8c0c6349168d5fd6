"""A bounded number of odd inputs for every reader; docs/reliability.md has the long runs."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..deploy.conftest import need
from . import harness
from .harness import OUT, fuzz

ROOT = Path(__file__).resolve().parents[2]
INPUTS = {
    'annotations': 150,
    'images': 300,
    'videos': 150,
    'commands': 60,
    'configs': 30,
    'checkpoints': 60,
    'weights': 60,
    'exported': 100,
    'specifications': 200,
}


@pytest.mark.slow
@pytest.mark.parametrize('reader', list(INPUTS))
def test_odd_inputs_are_used_or_refused(reader: str) -> None:
    if reader in ('exported', 'commands'):
        need('onnx')
        need('openvino')
    command = [sys.executable, '-m', 'tests.fuzz', reader, '--inputs', str(INPUTS[reader])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    results = json.loads(done.stdout.splitlines()[-1])
    assert results['used'] + results['refused'] == INPUTS[reader]
    assert results['used'] > 0


class Misbehaving:
    """Does what no reader may, by turns."""

    megabytes = 256

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / 'input').write_text('x')

    def make(self, rng: random.Random) -> None:
        self.turn = rng.choice(['fine', 'error', 'crash', 'hang', 'memory', 'file', 'output'])
        self.kind = self.turn

    def read(self) -> None:
        if self.turn == 'error':
            raise ValueError('odd')
        if self.turn == 'crash':
            os.kill(os.getpid(), signal.SIGKILL)
        while self.turn == 'hang':
            pass
        if self.turn == 'memory':
            bytearray(2**30)
        if self.turn == 'file':
            (self.folder / 'stray').write_text('x')
        (self.folder / OUT / 'fine').write_text('x')


def test_every_fault_is_seen(monkeypatch, capfd) -> None:
    monkeypatch.setattr(harness, 'SECONDS', 1)
    result = fuzz(Misbehaving, 30)
    told = capfd.readouterr().out
    assert result.used == result.kinds['fine used'] + result.kinds['output used'] > 0
    assert result.used + len(result.faults) == result.inputs == 30
    for fault in ('ValueError: odd', 'crash', 'MemoryError', 'outside the output'):
        assert fault in told
    assert 'TimeoutError' in told or 'hang' in told  # by its processor time, or by the clock
