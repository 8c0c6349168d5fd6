"""From a checkpoint's content to a detector with its weights: nothing is fetched or executed."""

import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope

from lighthead.checkpoint.plain_config import config_from_json, model_config_from_json
from lighthead.errors import UserError


class Meta(NamedTuple):
    """What travels in a checkpoint beside its weights."""

    cfg: Config
    """The whole config, validated."""
    model_cfg: ConfigDict
    """Its model, without ``init_cfg``: ready for :func:`build_model`."""
    classes: list[str]
    category_ids: list[int]


def read_meta(checkpoint: Mapping[str, Any], path: str | os.PathLike) -> Meta:
    """The config, class names and category ids of a loaded checkpoint.

    Raises:
        UserError: they are missing or do not fit together, or the config asks
            for something that is not allowed.
    """
    meta = checkpoint.get('meta') or {}
    data = meta.get('dataset_meta') or {}
    classes = list(data.get('classes') or [])
    if not meta.get('config_json') or not classes:
        raise UserError(
            f'{path} holds no config and class names of lighthead: give a checkpoint that '
            'tools/train.py wrote.'
        )
    cfg = config_from_json(meta['config_json'])
    model_cfg = model_config_from_json(meta['config_json'])
    ids = list(data.get('category_ids') or range(1, len(classes) + 1))
    for count in _class_counts(model_cfg):
        if not count == len(classes) == len(ids):
            raise UserError(
                f'The model in {path} has {count} classes, but the file names {len(classes)} '
                f'classes and {len(ids)} category ids.'
            )
    return Meta(cfg, model_cfg, classes, ids)


def _class_counts(model_cfg: Mapping) -> Iterator[int]:
    heads = model_cfg.get('roi_head', model_cfg).get('bbox_head', {})
    for head in heads if isinstance(heads, list | tuple) else [heads]:
        if 'num_classes' in head:
            yield head['num_classes']


def build_model(model_cfg: Mapping, score_thr: float = 0.0) -> BaseDetector:
    """Build a detector that is about to receive its weights: nothing is fetched or initialised.

    Args:
        model_cfg: A model without ``init_cfg``; it is left as it is.
        score_thr: Detections below it are not wanted, so they need not reach NMS.
            (A box never suppresses one with a higher score, so the rest is the same.)
    """
    model_cfg = deepcopy(model_cfg)
    test_cfg = model_cfg.get('test_cfg') or {}
    final = test_cfg.get('rcnn', test_cfg)
    if score_thr > final.get('score_thr', 0.0):
        final['score_thr'] = score_thr
    with DefaultScope.overwrite_default_scope('mmdet'):  # BaseModel builds from mmengine's registry
        model = MODELS.build(model_cfg)
    return revert_sync_batchnorm(model).eval()


def load_weights(model: BaseDetector, state_dict: Mapping, path: str | os.PathLike) -> None:
    """Load all weights, none missing, none left over.

    Raises:
        UserError: the weights do not fit the config beside them.
    """
    own = model.state_dict()
    missing = sorted(own.keys() - state_dict.keys())
    unexpected = sorted(state_dict.keys() - own.keys())
    other = sorted(
        name for name in own.keys() & state_dict.keys() if own[name].shape != state_dict[name].shape
    )
    faults = {'missing': missing, 'unexpected': unexpected, 'of another shape': other}
    told = [f'{len(names)} {what} ({names[0]})' for what, names in faults.items() if names]
    if told:
        raise UserError(
            f'The weights in {Path(path)} do not fit the config in it: {", ".join(told)}.'
        )
    model.load_state_dict(state_dict)
