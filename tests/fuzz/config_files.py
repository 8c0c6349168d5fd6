"""Odd configs, and flags that change them, given to the real ``lighthead train`` and ``test``."""

import ast
import copy
import json
import random
from pathlib import Path

from mmengine.config import Config
from mmengine.config import config as mmengine_config
from yapf.yapflib.yapf_api import FormatCode

from ..small_detector import write_checkpoint
from .command_lines import DEMO, ROOT, check_main, refuse_long_work, tidy
from .harness import OUT
from .mutations import change

DATA = str(ROOT / 'data' / 'demo')
CHANGES = [
    ['--epochs', '3'], ['--lr', '0.1'], ['--batch-size', '2'], ['--img-scale', '256', '256'],
    ['--width', '1.0'], ['--workers', '0'], ['--amp'], ['--seed', '3'], ['--from-scratch'],
    ['--auto-scale-lr'], ['--no-report'], ['--data-root', DATA], ['--data-root', DATA, '--auto'],
    ['--cfg-options', 'train_cfg.max_epochs=3'], ['--cfg-options', 'model.backbone.star=False'],
    ['--cfg-options', 'model.test_cfg.rcnn.score_thr=0.3'],
]  # fmt: skip
"""Flags that change a config."""


class Configs:
    """The demo's config with odd values, for a training or a test that ends at its first step.

    Every second training has a flag that changes the config. mmengine writes a config's text four
    times, and laying it out takes most of an input's time: 19 of 20 inputs only look whether it
    is Python.
    """

    megabytes = 3072
    laid_out = 0.05

    def __init__(self, folder: Path) -> None:
        self.path, self.out = folder / 'odd.py', folder / OUT
        text = Config.fromfile(DEMO).pretty_text.replace("'data/demo/", f"'{DATA}/")
        self.content = Config.fromstring(text, '.py').to_dict()
        for name in ('train', 'val', 'test'):
            self.content[f'{name}_dataloader'].update(num_workers=0, persistent_workers=False)
        annotations = json.loads(Path(DATA, 'annotations', 'instances_val.json').read_text())
        classes = [category['name'] for category in annotations['categories']]
        ids = range(1, len(classes) + 1)
        cfg = Config(copy.deepcopy(self.content))
        self.checkpoint = str(write_checkpoint(cfg, folder / 'demo.pth', classes, ids))
        refuse_long_work()

    def make(self, rng: random.Random) -> None:
        """Write the next config."""
        content = copy.deepcopy(self.content)
        part = rng.choice([None, 'model', *content])
        if part is None or not isinstance(content.get(part), dict | list):
            change(rng, content)
        else:
            change(rng, content[part])
        lines = [f'{key} = {_literal(value)}' for key, value in content.items()]
        lines = [line for line in lines if line.partition(' =')[0].isidentifier()]
        self.path.write_text('\n'.join(lines), 'utf-8', 'backslashreplace')
        self.number = rng.randrange(10**9)
        lays_out = rng.random() < self.laid_out
        self.flags = rng.choice(CHANGES) if rng.random() < 0.5 else []
        self.kind = 'test' if rng.random() < 0.2 else ' '.join(['train', *self.flags[:1]])
        mmengine_config.FormatCode = FormatCode if lays_out else _parsed

    def read(self) -> None:
        """Run it."""
        tidy()
        more = [self.checkpoint] if self.kind == 'test' else self.flags
        out = str(self.out / str(self.number))
        check_main([self.kind.split()[0], str(self.path), *more, '--work-dir', out])


def _parsed(text: str, **_: object) -> tuple[str, bool]:
    """In place of yapf's ``FormatCode``: the text as it is; SyntaxError where it is not Python."""
    ast.parse(text)
    return text, False


def _literal(value: object) -> str:
    return repr(value).replace('nan', "float('nan')").replace('inf', "float('inf')")
