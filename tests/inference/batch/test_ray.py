"""A job on a real local Ray: workers and drivers that are killed lose and double nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..jobs.fake_detector import write_images

pytest.importorskip('ray', reason='ray is not installed: the extra ray')

HERE = Path(__file__).parent
IMAGES = 200
DEADLINE = 600


def start(*words: object) -> subprocess.Popen:
    path = [str(HERE), str(HERE.parent / 'jobs'), str(HERE.parents[2])]
    path += [os.environ['PYTHONPATH']] if os.environ.get('PYTHONPATH') else []
    environment = os.environ | dict(
        PYTHONPATH=os.pathsep.join(path), RAY_USAGE_STATS_ENABLED='0', OMP_NUM_THREADS='1'
    )
    line = [sys.executable, str(HERE / 'ray_job.py'), *map(str, words)]
    return subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: subprocess.Popen) -> str:
    said, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, said
    return said


@pytest.fixture
def job(tmp_path) -> tuple[Path, Path]:
    """The images, a model's file, and in ``plain`` what one process makes of them."""
    write_images(tmp_path / 'in', IMAGES)
    (tmp_path / 'in/0007.png').write_bytes(b'no image')
    (tmp_path / 'model.onnx').write_bytes(b'a model')
    finish(start(tmp_path / 'in', tmp_path / 'plain', tmp_path / 'model.onnx', '--plain'))
    return tmp_path / 'in', tmp_path / 'model.onnx'


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_an_actor_that_dies(job, tmp_path):
    """And an object store that holds less than half of the loaded images."""
    source, model = job
    said = finish(start(source, tmp_path / 'out', model, '--die', tmp_path / 'dead'))
    assert (tmp_path / 'dead').exists()
    assert f'{IMAGES} images in, {IMAGES} rows out, 1 with an error' in said
    assert contents(tmp_path / 'out') == contents(tmp_path / 'plain')
    load, detect = (
        {path.suffix for path in (tmp_path / 'out_notes').glob(f'{name}.*')}
        for name in ('prepare_row', 'detect_in_chunk')
    )
    # the dead one, and the other or the one that took its place, which may come when all is done
    assert len(detect) in (2, 3)
    assert load
    assert not load & detect, 'loading is a stage of its own'


@pytest.mark.slow
def test_a_driver_that_is_killed_and_started_again(job, tmp_path):
    source, model = job
    out, begun = tmp_path / 'out', time.monotonic()
    driver = start(source, out, model, '--seconds', 0.05)
    while not (done := len(list(out.glob('*.parquet')))):
        assert driver.poll() is None, driver.stdout.read()
        assert time.monotonic() - begun < DEADLINE
        time.sleep(0.01)
    driver.kill()
    driver.wait()
    assert 0 < done < 5
    assert not (out / 'manifest.jsonl').exists()
    said = finish(start(source, out, model))
    assert f'{IMAGES} images in, {IMAGES} rows out' in said
    assert contents(out) == contents(tmp_path / 'plain')
