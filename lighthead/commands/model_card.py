"""What is known of a model, for the card in its report: origin, size, cost, speed here."""

import json
import platform
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch

from lighthead.checkpoint.build_model import build_model
from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.specification import RECORD_KEY, Specification, read_specification
from lighthead.errors import UserError
from lighthead.evaluation.analysis.evaluated import Evaluated
from lighthead.inference.detector import Detector
from lighthead.inference.images import ImageError, read_image
from lighthead.speed.detectors.complexity import detector_shares
from lighthead.zoo.entries import entries

TIMED_IMAGES, WARM_UP = 20, 2


def model_card(args: Namespace, evaluated: Evaluated, checkpoint: Path) -> dict[str, str]:
    """Facts by name; what a checkpoint does not say is left out."""
    meta = load_checkpoint_file(checkpoint, trust=args.trust_checkpoint)['meta']
    card = {
        'checkpoint': f'{checkpoint.name}, {checkpoint.stat().st_size / 1e6:.1f} MB',
        'config': args.detector[0] if len(args.detector) == 2 else 'described by the checkpoint',
        'classes': _few(evaluated.classes),
        'evaluated on': f'{len(evaluated.coco.imgs)} images',
        'trained for': f'{meta.get("epoch", "?")} epochs, {meta.get("iter", "?")} iterations',
        'seed': str(meta.get('seed', 'not noted')),
        'lighthead': str(meta.get('lighthead_version', 'not noted')),
    }
    card |= _origin(args.detector[-1], meta)
    try:
        specification = read_specification(meta, checkpoint)
    except UserError:
        return card
    return card | _cost(specification) | _speed(args, evaluated, checkpoint)


def _few(names: list[str]) -> str:
    more = f' and {len(names) - 10} more' if len(names) > 10 else ''
    return ', '.join(names[:10]) + more


def _origin(name: str, meta: dict) -> dict[str, str]:
    """Where data and weights come from: of a model of the zoo, or by the config of its training."""
    entry = entries().get(name)
    if entry is not None:
        return {'trained on': entry.data, 'started from': entry.weights, 'licence': entry.licence}
    try:
        config = json.loads(meta.get(RECORD_KEY) or '{}')
    except (TypeError, ValueError):
        return {}
    card = {}
    for field, keys in (
        ('started from', ('load_from',)),
        ('backbone from', ('model', 'backbone', 'init_cfg', 'checkpoint')),
        ('trained on', ('train_dataloader', 'dataset', 'ann_file')),
    ):
        value = config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            card[field] = value
    return card


def _cost(specification: Specification) -> dict[str, str]:
    """Multiply-adds and parameters at the largest input."""
    preprocess = specification.preprocess
    if preprocess.scale is None:
        return {}
    divisor = preprocess.pad_divisor
    width, height = (-(-side // divisor) * divisor for side in preprocess.scale)
    try:
        shares = detector_shares(build_model(specification.model_cfg()), height, width)
    except UserError:
        return {}
    macs, parameters = (sum(getattr(s, n) for s in shares) for n in ('macs', 'parameters'))
    return {
        'multiply-adds': f'{macs / 1e9:.2f} G at {height} x {width}',
        'parameters': f'{parameters / 1e6:.2f} M',
    }


def _speed(args: Namespace, evaluated: Evaluated, checkpoint: Path) -> dict[str, str]:
    """The median time from a decoded image to boxes, one image at a time."""
    detector = Detector(str(checkpoint), trust=args.trust_checkpoint)
    times = []
    for image in list(evaluated.coco.imgs.values())[: TIMED_IMAGES + WARM_UP]:
        try:
            pixels = read_image(Path(evaluated.img_dir or '') / image['file_name'])
        except ImageError:
            continue
        start = time.perf_counter()
        detector(pixels)
        times.append(time.perf_counter() - start)
    times = times[WARM_UP:]
    if not times:
        return {}
    on = 'GPU' if torch.cuda.is_available() else f'{torch.get_num_threads()} CPU threads'
    return {
        'speed': f'{np.median(times) * 1e3:.0f} ms an image (median of {len(times)}, torch, '
        f'{on}, {platform.machine()})'
    }
