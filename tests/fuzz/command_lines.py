"""Odd command lines, given to the real ``lighthead``.

Commands do all that comes before their long work: a training or test ends at its first step;
``infer`` runs a tiny exported detector. What they print is looked at: exit code 2 needs one error
message, and any other code but 0 is a fault.
"""

import os
import random
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner, TestLoop
from mmengine.visualization import Visualizer

from lighthead.cli import build_parser, main
from lighthead.commands import export_job
from lighthead.engine.loop import ResumableEpochLoop
from lighthead.errors import UserError

from ..data.formats.builders import coco_json, write_image, write_text
from ..deploy.tiny_files import write_tiny
from ..small_detector import write_checkpoint
from .checkpoint_files import tiny_config
from .harness import OUT, quiet

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'configs' / 'lighthead_shufflev2star_demo.py'
VALUES = [
    '', '-1', '0', '1', '2', '3.5', '1e400', 'nan', 'inf', '9' * 30, 'x', 'x' * 5000, 'cpu', 'cuda',
    'evil', 'cuda:99', 'cpu:-1', 'FIFO', 'FILE', 'FOLDER', '..', '.', '☃', '\udcff',
    'a=b', 'model.type=os.system', '1/5', '0/0', 'http://127.0.0.1:9/x', 'hf://a/b',
    'torchvision://shufflenet_v2_x1_0', '-', '--', '[1,2', '{', 'True', 'None', '1000000',
]  # fmt: skip
"""FIFO, FILE and FOLDER stand for paths; no value may name a file of the machine."""
OPTIONS = [
    'train_cfg.max_epochs={}', 'train_dataloader.batch_size={}', 'model.neck.mid_channels={}',
    'model.test_cfg.rcnn.nms.iou_threshold={}', 'optim_wrapper.optimizer.lr={}',
    'randomness.seed={}', 'model.rpn_head.anchor_generator.scales={}',
    'train_dataloader.dataset.pipeline.2.scale={}',
    'default_hooks.checkpoint.interval={}', 'param_scheduler.0.end={}', 'work_dir={}', 'x.y.z={}',
    'model.backbone.widen_factor={}', 'batch_size={}', 'train_dataloader.num_workers={}',
]  # fmt: skip
"""Settings of ``--cfg-options``."""


def check_main(words: list[str]) -> None:
    """Call ``lighthead`` with these words; a UserError where it refuses them with one message.

    Raises:
        AssertionError: it ended in any other way.
    """
    with quiet() as log:
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code
        text = log.read_text(errors='replace')
    message = text[text.rfind('error: ') :]
    if code == 2 and ('error: ' in text or words[0] == 'data'):
        assert 'Traceback' not in text or '--debug' in words, text[-3000:]
        raise UserError(message)
    assert code == 0, f'exit code {code}: {words!r:.500}: {text[-1500:]}'


def tidy() -> None:
    """Forget what mmengine keeps of a run in this process."""
    for kind in (MMLogger, Visualizer, Runner, DefaultScope):
        getattr(kind, '_instance_dict', {}).clear()
    DefaultScope.get_instance('fuzz', scope_name='mmdet')


def _first_step(*_: object) -> None:
    raise SystemExit(0)


def refuse_long_work() -> None:
    """Let the commands end where their long work begins, in this process."""
    torch.set_num_threads(1)
    export_job.write_export = _nothing_exported
    for loop in (ResumableEpochLoop, EpochBasedTrainLoop, IterBasedTrainLoop, TestLoop):
        loop.run = _first_step


def _nothing_exported(*_: object) -> Path:
    raise UserError('not exported')


class CommandLines:
    """Odd flags and values of every sub-command."""

    megabytes = 3072

    def __init__(self, folder: Path) -> None:
        self.folder, data = folder, folder / 'data'
        self.model = str(write_tiny('onnx', folder))
        self.checkpoint = str(write_checkpoint(tiny_config(), folder / 'tiny.pth'))
        for split in ('train', 'val'):
            write_image(data / split / 'a.png')
            text = coco_json(['a.png'])
            write_text(data / 'annotations' / f'instances_{split}.json', text)
        self.data, self.out = str(data), str(folder / OUT)
        self.flags = flags()
        self.places = {name: str(folder / 'guarded' / name) for name in ('FIFO', 'FILE')}
        self.places['FOLDER'] = str(folder / OUT / 'folder')  # commands may write there
        (folder / 'guarded').mkdir()
        (folder / OUT / 'folder').mkdir(parents=True)
        os.mkfifo(self.places['FIFO'])
        Path(self.places['FILE']).write_text('text')
        refuse_long_work()

    def make(self, rng: random.Random) -> None:
        """Make the next command line."""
        self.number = rng.randrange(10**9)
        out = f'{self.out}/{self.number}'
        lines = {
            'train': [str(DEMO), '--data-root', self.data, '--work-dir', out],
            'test': [self.checkpoint, '--data-root', self.data, '--work-dir', out],
            'infer': [self.model, f'{self.data}/val', '--out-dir', out],
            'export': [self.checkpoint, '--out', f'{out}.onnx'],
            'complexity': [str(DEMO)],
            'data': [rng.choice(['check', 'convert', 'split', 'show']), self.data],
            'convert': [self.checkpoint, f'{out}.pth'],
            'models': [],
            'speed': [rng.choice(['compare', 'table8', 'gpu', 'detector', 'x'])],
            'pretrain': ['pretrain/shufflev2_x0_5', '--work-dir', out],
            'info': [],
        }
        weights = [6, 3, 6, 3, 1, 4, 1, 1, 1, 1, 1]
        self.kind = rng.choices(list(lines), weights)[0]
        words = lines[self.kind]
        if self.kind == 'data' and words[0] != 'check':
            words += ['--out', out + '.jpg' if words[0] == 'show' else out]
        for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
            words = self._changed(rng, words)
        if self.kind == 'speed' and not {'--help', '--only'} & set(words):
            words.append('--no-such-flag')  # what is measured takes hours
        places = self.places
        if self.kind in ('convert', 'export'):  # which replace the file that they are to write
            places = places | {'FILE': self.places['FOLDER'] + '/file'}
            Path(places['FILE']).write_text('text')
        self.words = [self.kind, *(places.get(word, word) for word in words)]

    def _changed(self, rng: random.Random, words: list[str]) -> list[str]:
        """One more flag with a value, another value, or a word less."""
        words, action = list(words), rng.randrange(6)
        if action == 0 and words:
            words[rng.randrange(len(words))] = rng.choice(VALUES)
        elif action == 1 and words:
            del words[rng.randrange(len(words))]
        elif action == 2 and self.kind in ('train', 'test'):
            option = rng.choice([*OPTIONS, '{}={}']).replace('{}', rng.choice(VALUES))
            words += ['--cfg-options', option]
        else:
            words.append(rng.choice(self.flags[self.kind]))
            words += rng.choices(VALUES, k=rng.choice([0, 1, 1, 1, 2]))
        return words

    def read(self) -> None:
        """Run it."""
        tidy()
        check_main(self.words)


def flags() -> dict[str, list[str]]:
    """The flags of each sub-command, but those that open windows or start other processes."""
    parser = build_parser()
    (commands,) = (a for a in parser._actions if isinstance(a.choices, dict))
    found = {}
    for name, sub in commands.choices.items():
        nested = [a for a in sub._actions if isinstance(a.choices, dict)]
        parsers = [sub, *(p for a in nested for p in a.choices.values())]
        names = {text for one in parsers for text in one._option_string_actions}
        found[name] = sorted(names - {'--show', '--launcher', '--server', '--live'})
    return found
