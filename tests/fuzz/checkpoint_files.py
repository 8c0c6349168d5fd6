"""Odd checkpoints, specifications and weights."""

import copy
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from mmdet.registry import MODELS

from lighthead.checkpoint.build_model import build_detector
from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.specification import read_specification
from lighthead.weights import load_pretrained, resolve_weight_source
from lighthead.weights.sources import META_KEY

from ..small_detector import small_config, write_checkpoint
from .harness import quiet
from .mutations import ODD, as_json, change, odd_bytes

LARGE = 10**7
"""Elements of a tensor that is only pretended."""


def tiny_config():
    """A detector of 1.5 MB, so that thousands of files are quick."""
    cfg = small_config(proposals=(50, 20))
    cfg.model.neck.update(mid_channels=2, kernel_size=3)
    cfg.model.rpn_head.update(feat_channels=4)
    cfg.model.roi_head.bbox_head.update(fc_out_channels=8)
    return cfg


def mutate(rng: random.Random, data: Any) -> Any:
    """A copy of plain data, or of a dict with tensors, with changes."""
    return change(rng, copy.copy(data) if has_tensors(data) else json.loads(json.dumps(data)))


def has_tensors(data: Any) -> bool:
    return isinstance(data, dict) and any(isinstance(v, torch.Tensor) for v in data.values())


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


def zip_bomb(path: Path) -> None:
    """The files of an archive, compressed, with one that unpacks to 300 MB."""
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('a/data.pkl', b'\x80\x02}q\x00.')
        archive.writestr('a/data/0', bytes(3 * 10**8))
        archive.writestr('a/version', b'3')


class Checkpoints:
    """Odd checkpoints, read as Detector does."""

    megabytes = 1024

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

    megabytes = 1024

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
        with quiet():
            resolve_weight_source(str(self.odd))
            load_pretrained(self.backbone, str(self.odd))


def save(content: Any, path: Path, rng: random.Random) -> None:
    """``torch.save`` in the new or the old format; what it cannot write becomes an empty file."""
    try:
        torch.save(content, path, _use_new_zipfile_serialization=rng.random() < 0.9)
    except Exception:
        path.write_bytes(b'')
