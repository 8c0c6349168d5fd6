"""Processor time per image of each stage of `lighthead batch`, for sizing a cluster.

Processor time, not wall time, so that other work on the machine disturbs it little (it still
does: caches and memory are shared). ``decode`` is what Ray loads with, ``network`` what an actor
does, ``write`` what the process that collects the rows does.

    python benchmarks/batch_stages.py model.onnx FOLDER
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lighthead import Detector
from lighthead.inference.batch.chunks import Chunk, detect_in_chunk
from lighthead.inference.batch.rows import Row, prepare_row
from lighthead.inference.batch.shards import Shard
from lighthead.inference.batch.writer import write_shard
from lighthead.inference.inputs import IMAGE_SUFFIXES

REPEATS = 5


def timed(function: Callable[[], Any], images: int) -> tuple[float, Any]:
    """Milliseconds of processor time per image, the median of some calls; the last result."""
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        result = function()
        seconds.append(time.process_time() - started)
    return 1e3 * statistics.median(seconds) / images, result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='a model, a checkpoint, or an exported file')
    parser.add_argument('folder', help='photographs')
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    paths = [p for p in sorted(Path(args.folder).iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES]
    paths, size = paths[:100], sum(path.stat().st_size for path in paths[:100])
    detector = Detector(args.model, args.device, threads=1)
    rows = [Row(str(path), str(path)) for path in paths]
    wanted = detector.wanted()
    detector(str(paths[0]))
    read, prepared = timed(
        lambda: [prepare_row(row, detector.preprocess, None) for row in rows], len(rows)
    )
    network, records = timed(
        lambda: detect_in_chunk(detector, Chunk(0, prepared), wanted), len(rows)
    )
    job = dict(model_sha256='', config='')
    with tempfile.TemporaryDirectory() as name:
        shard = Shard('part', 'paths', ())
        write, _ = timed(
            lambda: write_shard(Path(name), shard, [dict(record) for record in records], job),
            len(rows),
        )
        row_bytes = (Path(name) / 'part.parquet').stat().st_size / len(rows)
    for stage, value in dict(decode=read, network=network, write=write).items():
        print(
            f'{stage:8} {value:7.2f} ms of a core per image, {1e3 / value:9.1f} images/s per core'
        )
    total = read + network + write
    print(f'together {total:7.2f} ms of a core per image: {1e3 / total:9.1f} images/s')
    print(f'{size / len(rows) / 1024:.1f} KiB read and {row_bytes:.0f} bytes written per image')


if __name__ == '__main__':
    main()
