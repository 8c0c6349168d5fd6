"""A job on images without a network, and the rows that it wrote."""

from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from lighthead.inference.batch.options import BatchOptions
from lighthead.inference.batch.run import batch

from ..jobs.fake_detector import use_fake_detector, write_images


@pytest.fixture
def backend(monkeypatch):
    return use_fake_detector(monkeypatch.setattr)


@pytest.fixture
def images(tmp_path) -> list[Path]:
    return write_images(tmp_path / 'in', 12)


@pytest.fixture
def run(backend, tmp_path):
    """``run(input, **options)``: the exit code of a job with shards of five images."""
    (tmp_path / 'model.onnx').write_bytes(b'model')

    def run(given, **options):
        options = dict(out=str(tmp_path / 'out'), shard_size=5) | options
        return batch(BatchOptions(str(given), model=str(tmp_path / 'model.onnx'), **options))

    return run


@pytest.fixture
def rows_of():
    """``rows_of(folder)``: the rows of all output files, in order."""

    def rows_of(folder: Path) -> list[dict]:
        files = sorted(Path(folder).glob('*.parquet'))
        return [row for file in files for row in parquet.read_table(file).to_pylist()]

    return rows_of
