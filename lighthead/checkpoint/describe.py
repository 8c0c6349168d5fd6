"""From a training config to the specification that its checkpoints will carry.

It is asked for before the first step, so that nobody trains a detector to the end which cannot
be used then. The answer is one of three:

* a specification;
* :class:`ForeignPartError`: the detector is not of this project, or has a part that is not. It
  trains, and its checkpoints are used with its own config (``tools/test.py CONFIG CHECKPOINT``);
* a :class:`~lighthead.errors.UserError`: it consists of known parts, but with a setting that the
  specification refuses.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmengine.config import Config
from pydantic import ValidationError

from lighthead.checkpoint.build_model import check_weights, expected_shapes
from lighthead.checkpoint.light_head_spec import MAX_CLASSES
from lighthead.checkpoint.preprocess_settings import preprocess_from_config
from lighthead.checkpoint.specification import (
    META_KEY,
    RECORD_KEY,
    SPECS,
    Specification,
)
from lighthead.errors import UserError
from lighthead.schema import field_path, refusal
from lighthead.weights.facts import ImageFacts
from lighthead.weights.sources import META_KEY as FACTS_KEY

TRAINING_ONLY = frozenset(
    {
        '_scope_',  # where an inherited type is looked up first
        'init_cfg',
        'pretrained',
        'frozen_stages',
        'norm_eval',
        'with_cp',
        'momentum',  # of batch norm
        'requires_grad',
        'reg_decoded_bbox',
        'ohem_rois_per_image',
        'train_cfg',
    }
)
"""Keys of a model's config that have no influence on a trained detector, next to ``loss_*``."""
PREPROCESSOR = 'DetDataPreprocessor'
SCOPES = ('mmdet', 'mmengine', 'mmcv', 'lighthead')
UNKNOWN_TYPE = ('literal_error', 'union_tag_invalid', 'union_tag_not_found')


class ForeignPartError(UserError):
    """The detector has a part that no specification names."""


def describe(
    cfg: Config,
    classes: Sequence[str] | None = None,
    category_ids: Iterable[int | None] | None = None,
) -> Specification:
    """The specification of the detector that a config trains.

    Args:
        classes: Name of each label; None, where they are not known yet, takes their numbers.
        category_ids: Their ids; None counts from 1.

    Raises:
        ForeignPartError: it cannot be specified, because a part is not known here.
        UserError: a setting is refused, or nothing says at which size it is used.
    """
    raw = cfg.model.to_dict() if hasattr(cfg.model, 'to_dict') else dict(cfg.model)
    model_cfg = _served(raw)
    _require_known(model_cfg)
    if classes is None:
        classes = [f'class {i}' for i in range(_num_classes(model_cfg))]
    ids = range(1, len(classes) + 1) if category_ids is None else category_ids
    model_cfg.pop('data_preprocessor', None)
    data = dict(
        detector=SPECS[model_cfg['type']].served(model_cfg, raw),
        preprocess=preprocess_from_config(cfg).model_dump(),
        classes=tuple(classes),
        category_ids=tuple(ids),
    )
    try:
        specification = Specification.model_validate(data)
    except ValidationError as error:
        raise _judged(error) from None
    expected_shapes(specification)  # raises where the parts do not fit together
    return specification


def trained_meta(cfg: Config, data: Mapping, state_dict: Mapping) -> dict[str, str | dict]:
    """What a run's checkpoints will say of the detector, asked for before its first step.

    Args:
        data: ``classes`` and ``category_ids`` of the data that it is trained on.
        state_dict: Of the model that is trained.

    Raises:
        UserError: they could not be used.
    """
    try:
        specification = describe(cfg, data['classes'], data['category_ids'] or None)
    except ForeignPartError:  # the command has reported it
        return checkpoint_meta(cfg, None)
    check_weights(
        expected_shapes(specification),
        state_dict,
        'The model of this config is not the one that its checkpoints would describe',
    )
    return checkpoint_meta(cfg, specification)


def notes_on_use(cfg: Config) -> list[str]:
    """Notes, before a training, on how its checkpoints can be used.

    Raises:
        UserError: they could not be used.
    """
    try:
        describe(cfg)
    except ForeignPartError as error:
        return [
            f'{error}: checkpoints of this training are used with its config (tools/test.py CONFIG '
            "CHECKPOINT, or mmdet's tools), not by Detector, tools/infer.py or tools/export.py."
        ]
    return []


def checkpoint_meta(cfg: Config, specification: Specification | None) -> dict[str, str | dict]:
    """What a checkpoint's ``meta`` says of the detector, its images and its training."""
    meta: dict[str, str | dict] = {
        RECORD_KEY: json.dumps(cfg.to_dict(), ensure_ascii=False, default=repr)
    }
    if specification is not None:
        meta[META_KEY] = specification.to_json()
        meta[FACTS_KEY] = image_facts(specification).model_dump()
    return meta


def image_facts(specification: Specification) -> ImageFacts:
    """What a training that starts from the detector's weights has to know."""
    preprocess = specification.preprocess
    return ImageFacts(
        color_order='rgb' if preprocess.swap_channels else 'bgr',
        mean=preprocess.mean,
        std=preprocess.std,
        act_cfg=specification.detector.backbone.act_cfg,
    )


def _require_known(model_cfg: Mapping) -> None:
    parts = {
        'model': (model_cfg.get('type'), SPECS),
        'model.data_preprocessor': (
            (model_cfg.get('data_preprocessor') or {}).get('type', PREPROCESSOR),
            (PREPROCESSOR,),
        ),
    }
    for path, (kind, known) in parts.items():
        if kind not in known:
            raise ForeignPartError(f'{path} is a {kind}')


def _num_classes(model_cfg: Mapping) -> int:
    """As the config says it; 1 where it says nothing that counts."""
    head = (model_cfg.get('roi_head') or {}).get('bbox_head')
    number = head.get('num_classes') if isinstance(head, Mapping) else None
    return min(number, MAX_CLASSES) if isinstance(number, int) else 1


def _judged(error: ValidationError) -> UserError:
    """A foreign part where a ``type`` is not known, else a refusal."""
    for fault in error.errors(include_url=False):
        path = field_path(fault['loc'])
        if fault['type'] == 'union_tag_invalid':
            return ForeignPartError(f'{_dotted(path)} is a {fault["ctx"]["tag"]}')
        if fault['type'] == 'literal_error' and path[-1] == 'type':
            return ForeignPartError(f'{_dotted(path[:-1])} is a {fault["input"]}')
    return refusal(
        error, 'The config cannot be used for training, because its checkpoints could not be used'
    )


def _dotted(path: list[str]) -> str:
    return '.'.join(['model', *path[1:]])


def _served(node: Any) -> Any:
    """A copy without what only training reads, None, and the scopes of known packages."""
    if isinstance(node, Mapping):
        kept = {
            key: value
            for key, value in node.items()
            if key not in TRAINING_ONLY and not str(key).startswith('loss_') and value is not None
        }
        if isinstance(node.get('type'), str):
            scope, _, name = node['type'].rpartition('.')
            kept['type'] = name if scope in SCOPES else node['type']
        return {key: _served(value) for key, value in kept.items()}
    if isinstance(node, list | tuple):
        return [_served(item) for item in node]
    return node
