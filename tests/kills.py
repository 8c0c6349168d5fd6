"""SIGKILL at random moments of training, validation, test, export, inference and conversion.

    python -m tests.kills --kills 50 --seed 0

Each task first runs undisturbed. Then it is killed at random, looked at, and started again, until
it comes to its end: that must be the undisturbed one, bit for bit. After each kill a file is
absent or complete. The seed draws the moments; what they hit depends on the machine.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lighthead.checkpoint.checkpoint_files import find_latest_checkpoint, load_checkpoint_file
from lighthead.data.formats import read_dataset
from lighthead.inference.runtimes.exported import SUFFIXES, open_exported

from .deploy.conftest import missing_for
from .fork_server import ROOT, ForkServer
from .inference.jobs.fake_detector import write_images
from .small_detector import small_config, write_checkpoint

DEMO = ROOT / 'data' / 'demo'
CONFIG = ROOT / 'configs' / 'lighthead_shufflev2star_demo.py'
IMAGES = 40
TRAINING = (
    'train_cfg.max_epochs=2', 'train_cfg.val_interval=1', 'val_dataloader.dataset.indices=8',
    'train_dataloader.batch_size=2', 'train_dataloader.dataset.indices=12',
    'default_hooks.checkpoint.iter_interval=2', 'default_hooks.checkpoint.interval=1',
)  # fmt: skip
"""Two epochs of six batches of two images, each with a validation."""


@dataclass
class Task:
    """A command that is killed and started again.

    Attributes:
        words: Of the command, with ``{out}`` for its output.
        resumes: Whether it goes on where it was killed, with ``--resume``.
        turns: How often it is killed before every task had its turn.
    """

    name: str
    words: Sequence[str]
    resumes: bool = False
    turns: int = 1
    kills: int = 0
    ends: int = 0
    seconds: float = 0.0
    out: Path | None = None

    def line(self, out: Path) -> list[str]:
        """The command for an output."""
        words = [word.format(out=out) for word in self.words]
        return [*words, '--resume'] if self.resumes and self.can_resume(out) else words

    def can_resume(self, out: Path) -> bool:
        """Whether there is something to go on from."""
        return True

    def check_killed(self, out: Path) -> None:
        """Fail where a visible file is not complete."""

    def check_end(self, out: Path, whole: Path) -> None:
        """Fail where the end is not the undisturbed one."""
        assert files_of(out) == files_of(whole)


class Training(Task):
    """Its checkpoints load at any time; the last ones have the undisturbed weights."""

    def can_resume(self, out: Path) -> bool:
        return out.is_dir() and find_latest_checkpoint(out) is not None

    def check_killed(self, out: Path) -> None:
        for path in out.glob('*.pth'):
            load_checkpoint_file(path)
        listed = out / 'last_checkpoint'
        assert not listed.exists() or Path(listed.read_text().strip()).exists()

    def check_end(self, out: Path, whole: Path) -> None:
        names = {path.name for path in whole.glob('*') if path.is_file()}
        assert {path.name for path in out.glob('*') if path.is_file()} == names
        assert not list(out.glob('.*.tmp*')), 'temporary files of killed processes'
        for path in whole.glob('*.pth'):
            a, b = load_checkpoint_file(path), load_checkpoint_file(out / path.name)
            assert a['meta']['iter'] == b['meta']['iter'], path.name
            for key in ('state_dict', 'ema_state_dict'):
                assert a.get(key, {}).keys() == b.get(key, {}).keys()
                assert all(torch.equal(a[key][n], b[key][n]) for n in a.get(key, ())), path.name


class Test(Task):
    """The metrics are written whole, and are those of the undisturbed run."""

    def check_killed(self, out: Path) -> None:
        for name in ('metrics.json', 'results.json'):
            if (out / name).exists():
                json.loads((out / name).read_text())

    def check_end(self, out: Path, whole: Path) -> None:
        for name in ('metrics.json', 'results.json'):
            assert (out / name).read_bytes() == (whole / name).read_bytes(), name


class Export(Task):
    """The file opens whenever it is there, which its checksum and its weights' decide."""

    def check_killed(self, out: Path) -> None:
        if out.exists():
            open_exported(out, trust=True)

    def check_end(self, out: Path, whole: Path) -> None:
        images, sizes = torch.rand(1, 3, 128, 160).numpy(), [(128, 160)]
        answers = [open_exported(path, trust=True)[0](images, sizes)[0] for path in (out, whole)]
        for one, other in zip(*answers, strict=True):
            assert (one == other).all()
        assert len(answers[0].scores)
        assert not list(out.parent.glob('.*')), 'temporary files of killed processes'


class Inference(Task):
    """Each image once: the journal, the results and the drawings are the undisturbed ones."""

    def check_end(self, out: Path, whole: Path) -> None:
        lines = (out / 'predictions.jsonl').read_text().splitlines()
        assert len({json.loads(line)['path'] for line in lines}) == len(lines) == IMAGES
        ours, theirs = files_of(out), files_of(whole)
        assert ours.keys() == theirs.keys()
        assert all(ours[name] == theirs[name] for name in theirs if name != 'job.json')


class DataConversion(Task):
    """The folder is there as a whole, or not at all."""

    def check_killed(self, out: Path) -> None:
        if out.exists():
            assert read_dataset(out).splits.keys() == {'train', 'val'}

    def check_end(self, out: Path, whole: Path) -> None:
        super().check_end(out, whole)
        assert not list(out.parent.glob('.*')), 'temporary files of killed processes'


class CheckpointConversion(Task):
    """The file loads whenever it is there."""

    def check_killed(self, out: Path) -> None:
        if out.exists():
            load_checkpoint_file(out)


def files_of(place: Path) -> dict[str, bytes]:
    """The content of a file, or of all files below a folder."""
    if place.is_file():
        return {'': place.read_bytes()}
    found = (path for path in sorted(place.rglob('*')) if path.is_file())
    return {str(path.relative_to(place)): path.read_bytes() for path in found}


def make_tasks(folder: Path) -> list[Task]:
    """One task of each kind; the parts that most can be lost of come twice or more often."""
    checkpoint = str(write_checkpoint(small_config(), folder / 'detector.pth'))
    write_images(folder / 'images', IMAGES)
    loaders = [
        f'{split}_dataloader.{key}'
        for split in ('train', 'val')
        for key in ('num_workers=0', 'persistent_workers=False')
    ]
    options = ['--cfg-options', *loaders, *TRAINING]
    train = ['train', str(CONFIG), '--from-scratch', '--data-root', str(DEMO), '--work-dir']
    trained = folder / 'training' / 'whole' / 'epoch_2.pth'
    test = ['test', str(trained), '--data-root', str(DEMO), '--work-dir', '{out}']
    tasks = [
        Training('training', ['train', *train[1:], '{out}', *options], True, 3),
        Test('test', [*test, '--out', '{out}/results.json', '--workers', '0']),
        Inference(
            'inference', ['infer', checkpoint, f'{folder}/images', '--out-dir', '{out}'], True, 3
        ),
        DataConversion(
            'data conversion', ['data', 'convert', str(DEMO), '{out}', '--to', 'yolo'], turns=2
        ),
        CheckpointConversion('checkpoint conversion', ['convert', checkpoint, '{out}'], turns=2),
    ]
    for name in ('onnx', 'openvino', 'torch'):
        if not missing_for(name):
            words = ['export', checkpoint, '--format', name, '--out', '{out}']
            tasks.append(Export(f'export {name}', words))
    return tasks


@dataclass
class Kills:
    """All tasks in turn, until there were enough kills."""

    folder: Path
    server: ForkServer
    rng: random.Random

    def out(self, task: Task, name: str) -> Path:
        """A place for the output of a task."""
        folder = self.folder / task.name.replace(' ', '_')
        folder.mkdir(exist_ok=True)
        return folder / f'{name}{self.suffix(task)}'

    @staticmethod
    def suffix(task: Task) -> str:
        """That a file of this task has."""
        kinds = {'onnx': '.onnx', 'openvino': '.xml', 'torch': '.pt2'}
        assert set(kinds.values()) <= set(SUFFIXES)
        last = task.name.partition(' ')[2]
        return '.pth' if isinstance(task, CheckpointConversion) else kinds.get(last, '')

    def undisturbed(self, task: Task) -> None:
        """Run a task to its end."""
        task.seconds = self.server.run(*task.line(self.out(task, 'whole')))
        print(f'{task.name}: {task.seconds:.1f} s undisturbed', flush=True)

    def kill(self, task: Task) -> None:
        """Start a task and kill it once; where it ended before, check that and begin anew."""
        while True:
            out = self.out(task, f'round_{task.ends}')
            begun = time.monotonic()
            self.server.start(*task.line(out))
            if self.server.killed_after(self.rng.uniform(0, task.seconds)):
                task.kills += 1
                task.check_killed(out)
                print(f'{task.name}: kill {task.kills}', flush=True)
                return
            task.seconds = time.monotonic() - begun  # on a machine with other work it varies
            self.finish(task, out)

    def finish(self, task: Task, out: Path) -> None:
        """Compare an end with the undisturbed one."""
        task.check_end(out, self.out(task, 'whole'))
        task.ends += 1
        print(f'{task.name}: end {task.ends} is the undisturbed one', flush=True)

    def run(self, tasks: Sequence[Task], kills: int) -> None:
        """Kill the tasks in turn, then let each come to its end."""
        for task in tasks:
            self.undisturbed(task)
        turns = [task for task in tasks for _ in range(task.turns)]
        for number in range(kills):
            self.kill(turns[number % len(turns)])
        for task in tasks:
            out = self.out(task, f'round_{task.ends}')
            self.server.run(*task.line(out))
            self.finish(task, out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=50)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', nargs='+', metavar='NAME', help='these tasks (default: all)')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = ForkServer(folder / 'log')
        tasks = [t for t in make_tasks(folder) if not args.only or t.name in args.only]
        Kills(folder, server, random.Random(args.seed)).run(tasks, args.kills)
        server.close()
    for task in tasks:
        print(f'{task.name}: {task.kills} kills, {task.ends} ends compared')
    print(f'{sum(task.kills for task in tasks)} kills survived')
    return 0


if __name__ == '__main__':
    sys.exit(main())
