"""A detector's preprocessing and activation come from its backbone's weights, or must equal them.

Weights that were trained on RGB with a mean see noise in BGR without one: no
error tells, only the average precision does.
"""

from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.model import BaseDataPreprocessor

from lighthead.errors import UserError
from lighthead.weights.sources import SCRATCH, WeightSource, resolve_weight_source

TOLERANCE = 0.01
"""Difference of means and stds, on the scale 0..255, below which they are one."""
PREPROCESSOR = 'DetDataPreprocessor'


def adapt_model_cfg(model_cfg: dict) -> WeightSource | None:
    """Fill a detector's config with what its backbone's weights need, in place.

    Fields that are absent or None are filled: ``data_preprocessor.mean``,
    ``std`` and ``bgr_to_rgb``, and ``backbone.act_cfg``. Fields with a value
    must agree. A backbone without weights gets torchvision's. Detectors with a
    backbone of another project are left alone.

    Returns:
        The source of the weights, None where there are none.

    Raises:
        UserError: a field disagrees with the weights, or they are out of reach.
    """
    backbone = model_cfg.get('backbone')
    if not backbone or not _is_ours(backbone.get('type')):
        return None
    checkpoint = pretrained_checkpoint(backbone)
    source = resolve_weight_source(checkpoint) if checkpoint else SCRATCH
    if not model_cfg.get('data_preprocessor'):
        model_cfg['data_preprocessor'] = dict(type=PREPROCESSOR)
    preprocessor = model_cfg['data_preprocessor']
    given = {k: v for k, v in preprocessor.items() if v is not None}
    if 'rgb_to_bgr' in given:
        given['bgr_to_rgb'] = given['rgb_to_bgr'] or given.get('bgr_to_rgb', False)
    for field, value in source.to_preprocessor().items():
        if field not in given:
            preprocessor[field] = value
        elif checkpoint:
            _compare(source, f'model.data_preprocessor.{field}', given[field], value)
    if source.act_cfg is not None:
        if backbone.get('act_cfg') is None:
            backbone['act_cfg'] = dict(source.act_cfg)
        elif checkpoint:
            _compare(source, 'model.backbone.act_cfg', backbone['act_cfg'], source.act_cfg)
    return source if checkpoint else None


def start_from_detector(model_cfg: dict, checkpoint: str) -> None:
    """Let the backbone start from a detector's checkpoint (``load_from``), in place.

    So :func:`adapt_model_cfg` takes the preprocessing and the activation from there, and the
    norms' statistics count as trained. A backbone of another project is left alone.
    """
    backbone = model_cfg.get('backbone')
    if backbone and _is_ours(backbone.get('type')):
        backbone['init_cfg'] = dict(type='Pretrained', checkpoint=checkpoint)


def check_preprocessor(source: WeightSource, data_preprocessor: BaseDataPreprocessor) -> None:
    """Stop where a detector that was built treats its images unlike its weights' source.

    Raises:
        UserError: colour order, mean or std differ.
    """
    if not hasattr(data_preprocessor, '_enable_normalize'):
        return
    mean, std = torch.zeros(3), torch.ones(3)
    if data_preprocessor._enable_normalize:
        mean, std = data_preprocessor.mean.flatten(), data_preprocessor.std.flatten()
    actual = dict(
        mean=mean.tolist(), std=std.tolist(), bgr_to_rgb=bool(data_preprocessor._channel_conversion)
    )
    for field, value in source.to_preprocessor().items():
        _compare(source, f'model.data_preprocessor.{field}', actual[field], value, built=True)


def from_scratch(model_cfg: dict) -> None:
    """Change a detector's config to start from no weights: norms train, nothing is frozen."""
    backbone = model_cfg['backbone']
    backbone['init_cfg'] = None
    backbone['frozen_stages'] = -1
    backbone['norm_eval'] = False
    if backbone.get('norm_cfg'):
        backbone['norm_cfg'] = dict(backbone['norm_cfg'], requires_grad=True)


def pretrained_checkpoint(backbone_cfg: dict) -> str | None:
    """The ``checkpoint`` of a backbone's ``init_cfg``, None where it has none."""
    init_cfg = backbone_cfg.get('init_cfg')
    if not init_cfg or init_cfg.get('type') != 'Pretrained':
        return None
    if not init_cfg.get('checkpoint'):
        raise UserError('model.backbone.init_cfg has no checkpoint: name one, or set it to None.')
    return str(init_cfg['checkpoint'])


def _is_ours(name: str | type | None) -> bool:
    kind = MODELS.get(name) if isinstance(name, str) else name
    return isinstance(kind, type) and hasattr(kind, 'set_loaded_norms')


def _compare(
    source: WeightSource, field: str, actual: Any, expected: Any, built: bool = False
) -> None:
    if _same(actual, expected):
        return
    if built:
        way_out = f'set {field}={expected} in the config (tools/train.py fills absent fields)'
    else:
        way_out = f'remove {field} from the config, so that it is taken from the weights'
    raise UserError(
        f'{field} is {actual}, but the weights {source.name} were trained with {expected}: '
        f'{way_out}, or choose other weights in model.backbone.init_cfg.'
    )


def _same(actual: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return _activation(actual) == _activation(expected)
    if isinstance(expected, list):
        values = list(actual) * (3 if len(actual) == 1 else 1)
        return len(values) == len(expected) and all(
            abs(a - b) <= TOLERANCE for a, b in zip(values, expected, strict=True)
        )
    return bool(actual) == bool(expected)


def _activation(cfg: dict) -> dict:
    plain = {k: v for k, v in dict(cfg).items() if k != 'inplace'}
    if plain.get('type') == 'LeakyReLU':
        plain.setdefault('negative_slope', 0.01)
    return plain
