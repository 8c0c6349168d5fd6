"""A job over many generated images that is killed again and again, then reconciled.

Every image is different; one in a thousand is damaged. They lie in tar files of 500. The job
(`lighthead batch`) gets SIGKILL at ``--kills`` random moments, is started again each time by the
same command, and runs to its end. Then every image of the input must be a row of the output,
exactly once and in order, damaged ones with an error, and the shards that are done again in a
folder of their own must be equal, byte for byte.

    python benchmarks/batch_kills.py model.onnx --img-scale 128 --images 100000 --kills 20
    python benchmarks/batch_kills.py model.onnx --no-network    # what a busy machine can do
"""

import argparse
import io
import json
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as parquet

from lighthead.deploy.seal import EMPTY, KEY, sealed
from lighthead.inference import detector
from lighthead.inference.batch.options import BatchOptions
from lighthead.inference.batch.run import batch
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.runtimes.backend import OpenedModel, RawDetections
from lighthead.inference.runtimes.files import contiguous_batch

SHARD = 500
SIZE = (96, 128)
"""Height and width."""
DAMAGED = 1000
"""One of so many images."""
AGAIN = 20
"""One of so many shards is done again."""


def write_shards(folder: Path, images: int) -> None:
    """``folder/NNNNNN.tar`` of JPEG images, each noise of its own."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for first in range(0, images, SHARD):
        with tarfile.open(folder / f'{first // SHARD:06d}.tar', 'w') as archive:
            for number in range(first, min(first + SHARD, images)):
                noise = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
                _, encoded = cv2.imencode('.jpg', cv2.resize(noise, SIZE[::-1]))
                data = encoded.tobytes()
                if number % DAMAGED == DAMAGED - 1:
                    data = data[: len(data) // 2]
                info = tarfile.TarInfo(f'{number:08d}.jpg')
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def scaled_copy(model: Path, side: int, path: Path) -> Path:
    """The same ONNX file for images of ``side`` pixels, so that the network takes less time."""
    import onnx

    content = onnx.load(model)
    values = {prop.key: prop for prop in content.metadata_props}
    preprocess = json.loads(values['preprocess'].value)
    values['preprocess'].value = json.dumps(dict(preprocess, scale=[side, side]))
    values[KEY].value = EMPTY
    path.write_bytes(sealed(content.SerializeToString()))
    return path


class NoNetwork:
    """A box whose place and score come from the pixels."""

    device, best_batch_size = 'cpu', 1
    make_batch = staticmethod(contiguous_batch)

    def __call__(
        self, batch: np.ndarray, sizes: Sequence[tuple[int, int]], score_thr: float = 0.0
    ) -> list[RawDetections]:
        values = batch[:, :, ::16, ::16].mean(axis=(1, 2, 3)) / 256
        return [_box(float(value), *size) for value, size in zip(values, sizes, strict=True)]


def _box(value: float, height: int, width: int) -> RawDetections:
    box = np.array([[value, value, width - value, height]], np.float32)
    return RawDetections(box, np.array([value], np.float32), np.zeros(1, np.int64))


def run_without_network(model: str, source: str, out: str) -> int:
    """`lighthead batch` in this process."""
    opened = OpenedModel(NoNetwork(), Preprocess(SIZE[::-1]), ['thing'], [1], 0.5)
    vars(detector)['open_model'] = lambda *_: opened
    return batch(BatchOptions(source, out, model, pred_score_thr=0.0))


def start(args: argparse.Namespace, source: str, out: Path) -> subprocess.Popen:
    """The job in a process of its own."""
    if args.no_network:
        line = [sys.executable, __file__, str(args.model), '--job', source, str(out)]
    else:
        line = [sys.executable, '-m', 'lighthead', 'batch', source, str(out)]
        line += ['--model', str(args.model), '--threads', str(args.threads)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def kill_somewhere(process: subprocess.Popen, out: Path, most: int, rng: random.Random) -> bool:
    """After some more shards and a moment, or a moment after the start; False if it was done."""
    until = len(list(out.glob('*.parquet'))) + rng.randrange(most)
    if rng.random() < 0.2:
        until = 0
    while process.poll() is None and len(list(out.glob('*.parquet'))) < until:
        time.sleep(0.05)
    time.sleep(rng.uniform(0, 5))
    process.kill()
    said, _ = process.communicate()
    assert process.returncode in (-9, 0), said
    return process.returncode < 0


def check(source: Path, out: Path, images: int) -> int:
    """Compare the rows with the input; how many have an error."""
    rows = errors = 0
    files = sorted(out.glob('*.parquet'))
    assert [path.stem for path in files] == [path.stem for path in sorted(source.glob('*.tar'))]
    for file in files:
        table = parquet.read_table(file, columns=['path', 'error', 'boxes'])
        for row in table.to_pylist():
            assert row['path'] == f'{file.stem}.tar/{rows:08d}.jpg', (file, rows, row['path'])
            damaged = rows % DAMAGED == DAMAGED - 1
            assert (row['error'] is not None) == (row['boxes'] is None) == damaged, row
            errors += damaged
            rows += 1
    assert rows == images
    assert not list(out.glob('.*')), 'temporary files of killed processes'
    return errors


def run_again(args: argparse.Namespace, source: Path, out: Path, folder: Path) -> int:
    """Do some shards again, uninterrupted, and compare the files."""
    few = folder / 'few'
    few.mkdir()
    shards = sorted(source.glob('*.tar'))[::AGAIN]
    for shard in shards:
        (few / shard.name).hardlink_to(shard)
    process = start(args, str(few), folder / 'again')
    process.communicate()
    assert process.returncode == 0
    for shard in shards:
        name = f'{shard.stem}.parquet'
        assert (folder / 'again' / name).read_bytes() == (out / name).read_bytes(), name
    return len(shards)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', help='a model, a checkpoint, or an exported file')
    parser.add_argument('--images', type=int, default=100_000)
    parser.add_argument('--img-scale', type=int, metavar='SIDE', help='of an .onnx model')
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--no-network', action='store_true', help='a constant in its place')
    parser.add_argument('--job', nargs=2, metavar=('IN', 'OUT'), help=argparse.SUPPRESS)
    parser.add_argument('--seed', type=int, default=0, help='of the moments of the kills')
    args = parser.parse_args()
    if args.job:
        sys.exit(run_without_network(args.model, *args.job))
    rng, started = random.Random(args.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / 'in', Path(name) / 'out'
        if args.img_scale:
            args.model = scaled_copy(args.model, args.img_scale, Path(name) / 'model.onnx')
        write_shards(source, args.images)
        print(f'{args.images} images written in {time.monotonic() - started:.0f} s', flush=True)
        most = max(2, 2 * args.images // SHARD // (args.kills + 1))
        kills = 0
        while kills < args.kills and kill_somewhere(start(args, str(source), out), out, most, rng):
            kills += 1
            done = len(list(out.glob('*.parquet')))
            print(
                f'kill {kills}: {done} shards done, {time.monotonic() - started:.0f} s', flush=True
            )
        process = start(args, str(source), out)
        said, _ = process.communicate()
        assert process.returncode == 0, said
        print(said.splitlines()[-1])
        errors = check(source, out, args.images)
        again = run_again(args, source, out, Path(name))
    print(
        f'{args.images} images, {kills} kills: every image is one row, {errors} with an error; '
        f'{again} shards done again are equal ({time.monotonic() - started:.0f} s)'
    )


if __name__ == '__main__':
    main()
