"""Ray's results as files: chunks in any order, shards that fail; without Ray."""

import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

from lighthead.inference.batch.chunks import loading_of, read_chunks
from lighthead.inference.batch.options import BatchOptions
from lighthead.inference.batch.ray_executor import Assembler, DetectorActor, load_shards
from lighthead.inference.batch.shards import plan_shards

from ..jobs.fake_detector import write_images


@pytest.fixture
def setup(run, tmp_path, rows_of):
    """An assembler, its failures, its shards, and what each chunk of them became."""
    write_images(tmp_path / 'in', 40)
    run(tmp_path / 'in', out=str(tmp_path / 'plain'), shard_size=40)
    shards, failures = plan_shards(str(tmp_path / 'in'), 40), []
    (tmp_path / 'out').mkdir()
    output = SimpleNamespace(folder=tmp_path / 'out', job=dict(model_sha256='m', config='c'))
    job = SimpleNamespace(todo=shards, output=output, fail=lambda *args: failures.append(args))
    actor = DetectorActor(BatchOptions('', '', str(tmp_path / 'model.onnx')))
    loading = loading_of(actor.detector)
    parts = []
    for row in load_shards(
        dict(shard=[0], payload=[pickle.dumps(shards[0])]), pickle.dumps(loading)
    ):
        parts.append(pickle.loads(actor(row)['payload'][0]))
    return Assembler(job), failures, shards, parts


@pytest.mark.parametrize('order', [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 0, 1, 1)])
def test_chunks_in_any_order(setup, tmp_path, rows_of, order):
    assembler, failures, _, parts = setup
    assert [len(part.records) for part in parts] == [16, 16, 8, 0]
    for number in order:
        assembler.add(parts[number])
    assembler.check()
    assert not failures
    assert rows_of(tmp_path / 'out') == rows_of(tmp_path / 'plain')


def test_a_chunk_that_never_comes(setup, tmp_path):
    assembler, failures, shards, parts = setup
    for part in parts[1:]:
        assembler.add(part)
    assembler.check()
    assert failures == [(shards[0], 'some of its images came back without a result.')]
    assert not list((tmp_path / 'out').iterdir())


def test_records_that_were_lost(setup, tmp_path):
    assembler, failures, shards, parts = setup
    parts[1].records.pop()
    for part in parts:
        assembler.add(part)
    assert failures == [(shards[0], '39 of 40 images have a result.')]
    assert not list((tmp_path / 'out').iterdir())


def test_a_shard_that_cannot_be_read(setup, tmp_path):
    assembler, failures, *_ = setup
    (tmp_path / 'bad.tar').write_bytes(b'no archive' * 100)
    shard = plan_shards(str(tmp_path / 'bad.tar'), 5)[0]
    actor = DetectorActor(BatchOptions('', '', str(tmp_path / 'model.onnx')))
    loading = pickle.dumps(loading_of(actor.detector))
    rows = list(load_shards(dict(shard=[0], payload=[pickle.dumps(shard)]), loading))
    assembler.add(pickle.loads(actor(rows[-1])['payload'][0]))
    assert 'damaged or cut off' in failures[0][1]


def test_chunks_are_whole_windows(setup, tmp_path):
    """So that a result does not depend on how a shard was divided."""
    options = BatchOptions('', '', str(tmp_path / 'model.onnx'), batch_size=3)
    loading = loading_of(DetectorActor(options).detector)
    assert loading.chunk == 24
    shard = plan_shards(str(tmp_path / 'in'), 40)[0]
    sizes = [len(chunk.rows) for chunk in read_chunks(shard, loading, 0)]
    assert sizes == [24, 16, 0]
    assert Path(shard.sources[0]).name == '0000.png'
