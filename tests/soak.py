"""Minutes of inference over mixed images on every backend: memory, handles, answers of threads.

    python -m tests.soak --minutes 30 --out soak.json

Each backend has a process of its own, all at the same time, one CPU thread each. Four threads
share its ``Detector``: each answer is compared with the one that a single thread got before they
started. Images have many sizes and come as arrays and files, one by one and in lists; some files
are broken. Photographs of ``../shared`` are used where they are. It ends with 1 where an answer
differed, memory grew by more than its noise, or file handles were left open.
"""

import argparse
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PHOTOGRAPHS = ROOT.parent / 'shared' / 'coco-people' / 'val2017'
THREADS = 4
SAMPLES = 360
"""Of memory and handles, evenly in time."""
WARM_UP = 0.25
"""Share of the time before memory is judged: allocators keep what the largest images needed."""
SIZES = [(32, 48), (96, 120), (333, 500), (480, 640), (640, 427), (720, 1280), (1080, 300)]
BACKENDS = {
    'torch': ('checkpoint', None, 'fp32'),
    'torch bf16': ('checkpoint', None, 'bf16'),
    'torch, fixed sizes': ('checkpoint', None, 'fp32'),
    '.pt2 file': ('torch', 'torch', None),
    'ONNX Runtime': ('onnx', 'onnxruntime', None),
    'OpenVINO': ('openvino', 'openvino', 'fp32'),
}
"""The file's format, the runtime, the precision."""
SUFFIXES = {'onnx': '.onnx', 'openvino': '.xml', 'torch': '.pt2'}


@dataclass
class Record:
    """What happened to one backend."""

    backend: str
    minutes: float
    images: int = 0
    refused: int = 0
    """Broken images, each of which must end in an ImageError."""
    differing: list[str] = field(default_factory=list)
    box_error: float = 0.0
    score_error: float = 0.0
    seconds: list[float] = field(default_factory=list)
    mebibytes: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def sample(self, seconds: float) -> None:
        """Note this process's memory without that of files, open handles and threads."""
        resident, files = map(int, Path('/proc/self/statm').read_text().split()[1:3])
        self.seconds.append(round(seconds, 1))
        self.mebibytes.append(round((resident - files) * os.sysconf('SC_PAGE_SIZE') / 2**20, 2))
        self.handles.append(len(os.listdir('/proc/self/fd')))
        self.threads.append(len(os.listdir('/proc/self/task')))

    def memory(self) -> dict[str, float]:
        """A line through the memory after the warm-up: growth over that time, and the noise, two
        standard deviations around the line; MiB."""
        first = int(len(self.seconds) * WARM_UP)
        seconds, values = np.array(self.seconds[first:]), np.array(self.mebibytes[first:])
        slope, level = np.polyfit(seconds, values, 1)
        noise = 2 * float(np.std(values - (slope * seconds + level)))
        return dict(
            mean=float(values.mean()),
            growth=float(slope * (seconds[-1] - seconds[0])),
            per_hour=float(slope * 3600),
            noise=noise,
        )

    def faults(self) -> list[str]:
        """What was promised and did not hold."""
        memory, first = self.memory(), int(len(self.seconds) * WARM_UP)
        faults = [f'answer differs: {one}' for one in self.differing[:3]]
        if memory['growth'] > memory['noise']:
            faults.append(f'memory grew by {memory["growth"]:.1f} MiB, noise {memory["noise"]:.1f}')
        for name in ('handles', 'threads'):
            values = getattr(self, name)
            if values[-1] > max(values[: first + 1]):
                faults.append(f'{name}: {max(values[: first + 1])}, at the end {values[-1]}')
        return faults


def make_images(folder: Path, rng: random.Random) -> list:
    """Arrays and paths: drawn images of many sizes, photographs where they are."""
    values = np.random.default_rng(0)
    images: list = []
    for number, (height, width) in enumerate(SIZES * 3):
        small = values.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8)
        image = cv2.resize(small, (width + number, height), interpolation=cv2.INTER_CUBIC)
        if number % 3 == 0:
            images.append(image)
        else:
            path = folder / f'{number}{(".jpg", ".png")[number % 2]}'
            cv2.imwrite(str(path), image if number % 4 else image[..., 0])
            images.append(str(path))
    photographs = sorted(PHOTOGRAPHS.glob('*.jpg'))
    return images + list(map(str, rng.sample(photographs, min(40, len(photographs)))))


def open_backend(name: str, model: str, folder: Path):
    """A Detector with one CPU thread. Where the backend needs a file, another process exports it,
    so that the exporter's memory is none of this one's."""
    from lighthead import Detector

    kind, backend, precision = BACKENDS[name]
    if kind != 'checkpoint':
        out = folder / f'soak{SUFFIXES[kind]}'
        if not out.exists():
            words = ['export', model, '--format', kind, '--out', str(out)]
            subprocess.run([sys.executable, '-m', 'lighthead', *words], cwd=ROOT, check=True)
        model = str(out)
    detector = Detector(model, 'cpu', backend, precision, 0.05, threads=1, trust=True)
    if name == 'torch, fixed sizes':
        detector.backend = fixed_sizes(model)
    return detector


def fixed_sizes(model: str):
    """The backend of GPUs, on a CPU: a replay calls the function again."""
    import torch

    from lighthead.checkpoint.build_model import build_detector
    from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
    from lighthead.checkpoint.specification import read_specification
    from lighthead.inference.runtimes.torch_backend import RecordedBackend
    from lighthead.zoo import locate_model
    from tests.deploy.fake_cuda import CpuRecorder

    path = locate_model(model)
    content = load_checkpoint_file(path)
    specification = read_specification(content['meta'], path)
    network = build_detector(specification, content['state_dict'], path)
    return RecordedBackend(network, torch.device('cpu'), 'fp32', CpuRecorder())


class Soak:
    """Threads that share a detector, and what they saw."""

    def __init__(self, detector, images: list, broken: str, rate: float, record: Record) -> None:
        self.detector, self.images, self.broken, self.record = detector, images, broken, record
        self.pause = THREADS / rate
        self.alone = [detector(image) for image in images]
        self.lock = threading.Lock()
        self.stop = threading.Event()

    def run(self, minutes: float) -> None:
        """Keep the threads busy, and sample this process."""
        threads = [threading.Thread(target=self.work, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        for number in range(SAMPLES + 1):
            until = begun + minutes * 60 * number / SAMPLES
            self.stop.wait(max(0.0, until - time.monotonic()))
            self.record.sample(time.monotonic() - begun)
        self.stop.set()
        for thread in threads:
            thread.join()
        gc.collect()
        self.record.sample(time.monotonic() - begun)
        self.record.minutes = (time.monotonic() - begun) / 60

    def work(self, number: int) -> None:
        """One thread's calls."""
        rng = random.Random(number)
        try:
            while not self.stop.is_set():
                begun = time.monotonic()
                self.call(rng)
                self.stop.wait(max(0.0, begun + self.pause - time.monotonic()))
        except BaseException as error:
            with self.lock:
                self.record.differing.append(f'{type(error).__name__}: {error}')

    def call(self, rng: random.Random) -> None:
        """One image, a list of three, or a broken file."""
        from lighthead.inference.images import ImageError

        kind = rng.random()
        if kind < 0.05:
            try:
                self.detector(self.broken)
            except ImageError:
                self.record.refused += 1
                return
            raise AssertionError('a broken image was read')
        indices = rng.sample(range(len(self.images)), 3 if kind < 0.2 else 1)
        if len(indices) == 1:
            answers = [self.detector(self.images[indices[0]])]
        else:
            answers = self.detector([self.images[index] for index in indices])
        with self.lock:
            for index, answer in zip(indices, answers, strict=True):
                self.compare(index, answer)

    def compare(self, index: int, answer) -> None:
        """Count an answer, and note where it is not the one of a single thread."""
        record, expected = self.record, self.alone[index]
        record.images += 1
        if answer.names != expected.names or answer.image_size != expected.image_size:
            record.differing.append(f'image {index}: {len(answer)} for {len(expected)} boxes')
        elif len(answer):
            boxes = float(np.abs(answer.boxes - expected.boxes).max())
            scores = float(np.abs(answer.scores - expected.scores).max())
            record.box_error = max(record.box_error, boxes)
            record.score_error = max(record.score_error, scores)
            if boxes > 1e-2 or scores > 1e-5:
                record.differing.append(f'image {index}: boxes {boxes:.2g}, scores {scores:.2g}')


def soak(args: argparse.Namespace) -> Record:
    """Run one backend in this process."""
    record = Record(args.backend, args.minutes)
    with tempfile.TemporaryDirectory() as folder:
        images = make_images(Path(folder), random.Random(0))
        broken = Path(folder) / 'broken.jpg'
        broken.write_bytes(b'\xff\xd8\xff\xe0' + bytes(range(256)))
        detector = open_backend(args.backend, args.model, args.exports or Path(folder))
        Soak(detector, images, str(broken), args.rate, record).run(args.minutes)
    return record


def start(name: str, args: argparse.Namespace, out: Path) -> subprocess.Popen:
    """A process that writes the record of one backend to ``out``."""
    words = ['--backend', name, '--model', args.model, '--minutes', str(args.minutes)]
    words += ['--rate', str(args.rate), '--out', str(out)]
    words += ['--exports', str(args.exports)] if args.exports else []
    return subprocess.Popen(
        [sys.executable, '-m', 'tests.soak', *words],
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS='1'),
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # the scheduler gives each the same share
    )


def table(records: list[dict]) -> str:
    """Markdown, a row for each backend."""
    heads = ('backend', 'minutes', 'images', 'answers that differ', 'memory MiB', 'growth MiB')
    heads += ('noise MiB', 'handles', 'threads')
    rows = [heads, ['---'] * len(heads)]
    for one in records:
        memory, first = one['memory'], int(len(one['seconds']) * WARM_UP)
        handles, threads = ((one[name][first], one[name][-1]) for name in ('handles', 'threads'))
        numbers = [f'{memory[name]:.1f}' for name in ('mean', 'growth', 'noise')]
        rows.append(
            [one['backend'], f'{one["minutes"]:.1f}', str(one['images'])]
            + [str(len(one['differing'])), *numbers]
            + ['{} -> {}'.format(*handles), '{} -> {}'.format(*threads)]
        )
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=float, default=30)
    parser.add_argument('--rate', type=float, default=1000, help='calls per second, at most')
    parser.add_argument('--exports', type=Path, metavar='DIR', help='keep exported files there')
    parser.add_argument('--model', default='lighthead-people')
    parser.add_argument('--backend', choices=list(BACKENDS), help='this one, in this process')
    parser.add_argument('--only', nargs='+', choices=list(BACKENDS), help='(default: all)')
    parser.add_argument('--out', type=Path, required=True, help='a JSON file')
    args = parser.parse_args()
    if args.backend:
        record = soak(args)
        content = dict(asdict(record), memory=record.memory(), faults=record.faults())
        args.out.write_text(json.dumps(content))
        return int(bool(record.faults()))
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f'{n}.json' for n, name in enumerate(args.only or BACKENDS)}
        started = [start(name, args, out) for name, out in files.items()]
        codes = [process.wait() for process in started]
        records = [json.loads(out.read_text()) for out in files.values() if out.exists()]
    args.out.write_text(json.dumps(records, indent=1))
    print(table(records))
    for one in records:
        for fault in one['faults']:
            print(f'{one["backend"]}: {fault}')
    return int(any(codes) or len(records) < len(files))


if __name__ == '__main__':
    sys.exit(main())
