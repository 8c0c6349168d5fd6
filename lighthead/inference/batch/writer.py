"""The output file of a shard: Parquet that appears whole or not at all, and knows its input."""

import glob
import hashlib
import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from lighthead.files import replacing
from lighthead.inference.batch.shards import Shard
from lighthead.inference.conversions import import_extra
from lighthead.inference.jobs.formats import ROWS, detection_fields
from lighthead.inference.read_ahead import windows

KEY = b'lighthead'
"""Of the file's metadata, where its line of the manifest is."""


def write_shard(folder: Path, shard: Shard, records: Iterable[dict], job: dict) -> dict[str, Any]:
    """Write ``NAME.parquet``, a row per record, and return its line of the manifest.

    Args:
        records: Of :func:`lighthead.inference.batch.chunks.detect_in_chunk`, in order.
        job: What the results depend on, see :func:`lighthead.inference.batch.output.job_of`.

    Raises:
        OSError: the disk is full, or the like; nothing is left behind.
    """
    arrow, parquet = import_extra('pyarrow', 'results'), import_extra('pyarrow.parquet', 'results')
    schema = arrow.schema(
        [('path', arrow.string()), *detection_fields(), ('error', arrow.string())]
    )
    for leftover in folder.glob(f'.{glob.escape(shard.name)}.parquet.*.tmp'):
        leftover.unlink(missing_ok=True)  # of a process that was killed
    digest, counts = hashlib.sha256(), dict(rows=0, errors=0, detections=0)
    with (
        replacing(folder / f'{shard.name}.parquet') as file,
        closing(parquet.ParquetWriter(file, schema)) as writer,
    ):
        for group in windows(records, ROWS):
            for record in group:
                digest.update(record.pop('digest'))
                counts['rows'] += 1
                counts['errors'] += 'error' in record
                counts['detections'] += len(record.get('scores', ()))
            writer.write_table(arrow.Table.from_pylist(group, schema))
        line = dict(
            shard=shard.name,
            **dict(input=shard.fingerprint, input_sha256=digest.hexdigest()),
            **dict(model_sha256=job['model_sha256'], config=job['config']),
            **counts,
        )
        writer.add_key_value_metadata({KEY: json.dumps(line).encode()})
    return line


def read_line(path: Path) -> tuple[dict[str, Any], int] | None:
    """A complete output file's line of the manifest and its number of rows; None for others."""
    arrow, parquet = import_extra('pyarrow', 'results'), import_extra('pyarrow.parquet', 'results')
    try:
        metadata = parquet.read_metadata(path)
        line = json.loads((metadata.metadata or {})[KEY])
    except (OSError, arrow.ArrowException, KeyError, ValueError):
        return None
    return (line, metadata.num_rows) if isinstance(line, dict) else None
