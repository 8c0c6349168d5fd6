"""Odd files for the readers of checkpoints and weights: every one is used or refused.

``python tests/fuzz_files.py checkpoints --inputs 10000 --seed 0`` prints a JSON summary and ends
with 1 where an input ended in anything but success or a UserError, took longer than
``--seconds``, or wanted more memory than ``--megabytes``. Each input is a function of the seed
and its number, so that ``--first N --inputs 1`` repeats one.
"""

import argparse
import copy
import json
import random
import resource
import signal
import sys
import tempfile
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from mmdet.registry import MODELS

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lighthead.checkpoint.build_model import build_detector
from lighthead.checkpoint.safe_files import load_checkpoint_file
from lighthead.checkpoint.specification import read_specification
from lighthead.errors import UserError
from lighthead.weights import load_pretrained, resolve_weight_source
from lighthead.weights.sources import META_KEY
from tests.small_detector import small_config, write_checkpoint

ODD = [
    None, True, -1, 0, 1, 2.5, 10**6, 10**9, 10**18, 10**400, -(10**12), 1e308, float('nan'),
    float('inf'), '', 'x' * 10**5, '\x00', '\ud800', '../../etc/passwd', 'http://127.0.0.1:9/x',
    'os.system', 'AppearanceFreeLink', '{{ x }}', [], {}, [[]], {'type': 'os.system'}, b'bytes',
    (), [10**9] * 3, {'': None}, {1: 2},
]  # fmt: skip


LARGE = 10**7
"""Elements of a tensor that is only pretended."""


def tiny_config():
    """A detector of 1.5 MB, so that thousands of files are quick."""
    cfg = small_config(proposals=(50, 20))
    cfg.model.neck.update(mid_channels=2, kernel_size=3)
    cfg.model.rpn_head.update(feat_channels=4)
    cfg.model.roi_head.bbox_head.update(fc_out_channels=8)
    return cfg


def spots(node: Any, path: tuple = ()) -> list[tuple]:
    """The way to each value inside plain data."""
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list | tuple):
        items = list(enumerate(node))
    else:
        return []
    return [way for key, value in items for way in ((*path, key), *spots(value, (*path, key)))]


def mutate(rng: random.Random, data: Any) -> Any:
    """Change one to four values of plain data: replace, remove, add or multiply one."""
    data = json.loads(json.dumps(data)) if not has_tensors(data) else copy.copy(data)
    for _ in range(rng.randint(1, 4)):
        ways = spots(data)
        if not ways:
            break
        *parents, last = rng.choice(ways)
        node = data
        for key in parents:
            node = node[key]
        if not isinstance(node, dict | list):
            continue
        action = rng.randrange(6)
        if action < 3:
            node[last] = copy.deepcopy(rng.choice(ODD))
        elif action == 3:
            del node[last]
        elif action == 4 and isinstance(node, dict):
            key = rng.choice(['type', 'init_cfg', 'checkpoint', '_scope_', 'x'])
            node[key] = copy.deepcopy(rng.choice(ODD))
        elif isinstance(node[last], int | float):
            node[last] = node[last] * rng.choice([-1, 0, 2, 10, 10**3, 10**6])
    return data


def has_tensors(data: Any) -> bool:
    return isinstance(data, dict) and any(isinstance(v, torch.Tensor) for v in data.values())


def as_json(value: Any) -> Any:
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return value


def odd_tensors(rng: random.Random, tensors: dict) -> Any:
    """A state dict with some tensors of other shapes, kinds or names, or with no tensors."""
    tensors = dict(tensors)
    names = list(tensors)
    for _ in range(rng.randint(1, 5)):
        name = rng.choice(names)
        tensor = tensors.get(name)
        if not isinstance(tensor, torch.Tensor) or tensor.numel() > LARGE or tensor.is_sparse:
            continue
        changes: list[Callable[[], Any]] = [
            lambda t=tensor: t.flatten(),
            lambda t=tensor: t.reshape(-1)[:1].expand(10**6, 10**6),
            lambda t=tensor: t.to(rng.choice([torch.int8, torch.bool, torch.complex64])),
            lambda t=tensor: torch.full_like(t.float(), float('nan')),
            lambda t=tensor: t[:0] if t.dim() else t,
            lambda: torch.zeros(()),
            lambda t=tensor: t.float().to_sparse() if t.dim() else t,
            lambda: copy.deepcopy(rng.choice(ODD)),
        ]
        tensors[name] = rng.choice(changes)()
        if rng.random() < 0.3:
            tensors[rng.choice(['module.', 'backbone.', 'features.x', 'fc.']) + name] = tensors.pop(
                name
            )
    return tensors


def odd_bytes(rng: random.Random, data: bytes) -> bytes:
    """Bytes that are flipped, cut, doubled or filled up."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        place = rng.choice([rng.randrange(len(data)), rng.randrange(min(3000, len(data)))])
        if rng.random() < 0.3:
            place = len(data) - 1 - rng.randrange(min(3000, len(data)))  # the zip's directory
        action = rng.randrange(4)
        if action < 2:
            data[place] = rng.randrange(256)
        elif action == 2:
            del data[place : place + rng.choice([1, 4, 10**6])]
        else:
            data[place:place] = bytes(rng.randrange(256) for _ in range(rng.choice([1, 4, 64])))
        if not data:
            return b''
    return bytes(data)


def zip_bomb(path: Path) -> None:
    """The files of an archive, compressed, with one that unpacks to 300 MB."""
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('a/data.pkl', b'\x80\x02}q\x00.')
        archive.writestr('a/data/0', bytes(3 * 10**8))
        archive.writestr('a/version', b'3')


class Checkpoints:
    """Odd checkpoints, read as Detector does."""

    def __init__(self, folder: Path) -> None:
        self.path = write_checkpoint(tiny_config(), folder / 'good.pth')
        self.content = torch.load(self.path, weights_only=True)
        self.specification = json.loads(self.content['meta']['specification'])
        self.odd = folder / 'odd.pth'

    def make(self, rng: random.Random) -> None:
        """Write the next odd file."""
        content = dict(self.content, meta=dict(self.content['meta']))
        kind = rng.randrange(10)
        if kind < 6:
            content['meta']['specification'] = as_json(mutate(rng, self.specification))
        elif kind == 6:
            content['state_dict'] = odd_tensors(rng, content['state_dict'])
        elif kind == 7:
            content['meta'] = mutate(rng, {**content['meta'], 'circle': []})
            if rng.random() < 0.5:
                content['meta']['specification'] = content['meta']
        elif kind == 8 and rng.random() < 0.05:
            zip_bomb(self.odd)
            return
        elif kind == 8:
            content[rng.choice(['meta', 'state_dict'])] = copy.deepcopy(rng.choice(ODD))
        if kind == 9:
            self.odd.write_bytes(odd_bytes(rng, self.path.read_bytes()))
        else:
            save(content, self.odd, rng)

    def read(self) -> None:
        """Use the file."""
        checkpoint = load_checkpoint_file(self.odd)
        specification = read_specification(checkpoint['meta'], self.odd)
        build_detector(specification, checkpoint['state_dict'], self.odd)


class Specifications(Checkpoints):
    """Odd specifications alone: the schema, without a file around it."""

    def make(self, rng: random.Random) -> None:
        """Make the next odd text."""
        text = as_json(mutate(rng, self.specification))
        if rng.random() < 0.2 and isinstance(text, str):
            text = odd_bytes(rng, text.encode()).decode('utf-8', 'replace')
        self.text = text

    def read(self) -> None:
        """Use it."""
        read_specification({'specification': self.text}, 'odd').model_cfg()


class Weights:
    """Odd files of weights, read as training and pretraining do."""

    def __init__(self, folder: Path) -> None:
        self.backbone = MODELS.build(
            dict(type='ShuffleNetV2', widen_factor=0.5, out_indices=(3,), act_cfg=dict(type='ReLU'))
        )
        self.tensors = {k: v.clone() for k, v in self.backbone.state_dict().items()}
        facts = dict(color_order='rgb', mean=[0.0] * 3, std=[1.0] * 3, act_cfg=dict(type='ReLU'))
        self.meta = {
            META_KEY: facts,
            'input_channel_order': 'bgr',
            'mean_bgr_0': 1.0,
            'activation': 'ReLU',
        }
        self.folder = folder
        self.odd = folder / 'odd.pth'

    def make(self, rng: random.Random) -> None:
        """Write the next odd file."""
        tensors, meta = self.tensors, dict(self.meta)
        if rng.random() < 0.3:
            del meta[META_KEY]
        if rng.random() < 0.5:
            meta = mutate(rng, meta)
        else:
            tensors = odd_tensors(rng, tensors)
        self.odd = self.folder / rng.choice(['odd.pth', 'odd.safetensors'])
        if self.odd.suffix == '.pth':
            content: Any = dict(state_dict=tensors, meta=meta)
            if rng.random() < 0.1:
                content['state_dict'] = content
            save(content, self.odd, rng)
        else:
            strings = {str(k): str(as_json(v)) for k, v in meta.items()}
            kept = {
                k: v.contiguous().clone()
                for k, v in tensors.items()
                if isinstance(v, torch.Tensor) and v.layout == torch.strided and v.numel() < LARGE
            }
            try:
                safetensors.torch.save_file(kept, self.odd, metadata=strings)
            except Exception:
                self.odd.write_bytes(b'')
        if rng.random() < 0.2:
            self.odd.write_bytes(odd_bytes(rng, self.odd.read_bytes() or b'0'))

    def read(self) -> None:
        """Use the file."""
        resolve_weight_source(str(self.odd))
        load_pretrained(self.backbone, str(self.odd))


def save(content: Any, path: Path, rng: random.Random) -> None:
    """``torch.save`` in the new or the old format; what it cannot write becomes an empty file."""
    try:
        torch.save(content, path, _use_new_zipfile_serialization=rng.random() < 0.9)
    except Exception:
        path.write_bytes(b'')


READERS = {'specifications': Specifications, 'checkpoints': Checkpoints, 'weights': Weights}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('what', choices=list(READERS))
    parser.add_argument('--inputs', type=int, default=100)
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--seconds', type=int, default=60, help='for one input')
    parser.add_argument('--megabytes', type=int, default=1024, help='beyond those at the start')
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        reader = READERS[args.what](Path(folder))
        limit_memory(args.megabytes)
        signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError('too long')))
        results: Counter[str] = Counter()
        failures: list[str] = []
        for number in range(args.first, args.first + args.inputs):
            reader.make(random.Random(f'{args.seed}-{number}'))
            signal.alarm(args.seconds)
            try:
                reader.read()
                results['used'] += 1
            except UserError:
                results['refused'] += 1
            except BaseException:
                failures.append(f'input {number}: {traceback.format_exc()[-1500:]}')
            signal.alarm(0)
            if number % 500 == 499:
                print(number + 1, dict(results), len(failures), file=sys.stderr, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(dict(results, failures=failures, peak_megabytes=peak)))
    return int(bool(failures))


def limit_memory(megabytes: int) -> None:
    """Allow this process so much more address space than it has now."""
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == '__main__':
    sys.exit(main())
