"""From a specification and weights to a detector: nothing is fetched, executed or initialised.

The network is first built without memory (torch's device ``meta``), so that weights which do not
fit it are refused before anything is allocated; so it can never be larger than the file. Then it
is run once on a tiny image, so that parts which do not fit together are refused too.
"""

import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from torch import nn

from lighthead.checkpoint.specification import Specification
from lighthead.errors import UserError
from lighthead.weights.compare import compare_weights, shapes_of

PROBE = 64
"""Sides of the image that a new network is run on."""
BUILD_ERRORS = (AssertionError, KeyError, RuntimeError, TypeError, ValueError)


def build_model(model_cfg: Mapping) -> TwoStageDetector:
    """Build a detector that is about to receive its weights.

    Args:
        model_cfg: A model without ``init_cfg``; it is left as it is.
    """
    model_cfg = ConfigDict(deepcopy(dict(model_cfg)))
    with DefaultScope.overwrite_default_scope('mmdet'):  # BaseModel builds from mmengine's registry
        model = MODELS.build(model_cfg)
    return revert_sync_batchnorm(model).eval()


def build_detector(
    specification: Specification, state_dict: Mapping[str, Any], path: str | os.PathLike
) -> TwoStageDetector:
    """The detector of a checkpoint, with its weights.

    Args:
        path: Of the checkpoint, for messages.

    Raises:
        UserError: the weights do not fit the specification, or its parts one another.
    """
    shapes = expected_shapes(specification)
    check_weights(shapes, state_dict, f'The weights in {Path(path)} do not fit its specification')
    model = build_model(specification.model_cfg())
    model.load_state_dict(state_dict)
    try:
        _run_once(model)
    except BUILD_ERRORS as error:
        raise UserError(
            f'The parts of the detector in {path} do not fit together ({_first_line(error)}).'
        ) from error
    return model


def load_weights(model: nn.Module, state_dict: Mapping, path: str | os.PathLike) -> None:
    """Load all weights into a model of a user's own config, none missing, none left over.

    Raises:
        UserError: the weights do not fit the model.
    """
    check_weights(
        shapes_of(model), state_dict, f'The weights in {Path(path)} do not fit the config'
    )
    model.load_state_dict(state_dict)


def expected_shapes(specification: Specification) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of a specified detector, without memory for them.

    Raises:
        UserError: it cannot be built.
    """
    try:
        with torch.device('meta'):
            model = build_model(specification.model_cfg())
    except BUILD_ERRORS as error:
        raise UserError(
            f'The specification describes no detector ({_first_line(error)}).'
        ) from error
    return shapes_of(model)


@torch.no_grad()
def _run_once(model: TwoStageDetector) -> None:
    """Run backbone, neck, RPN and head on a tiny image, for the shapes alone."""
    maps = model.extract_feat(torch.empty(1, 3, PROBE, PROBE))
    model.rpn_head(maps)
    extractor, head = model.roi_head.bbox_roi_extractor, model.roi_head.bbox_head
    if len(maps) != extractor.num_inputs:
        raise ValueError(
            f'{len(maps)} feature maps, and PS-RoI align expects {extractor.num_inputs}'
        )
    height, width = extractor.roi_layers[0].output_size
    if maps[-1].shape[1] != extractor.out_channels * height * width:
        raise ValueError(
            f'the thin map has {maps[-1].shape[1]} channels, and PS-RoI align takes '
            f'{extractor.out_channels} x {height} x {width}'
        )
    head(torch.empty(1, extractor.out_channels, height, width))


def check_weights(
    expected: Mapping[str, tuple[int, ...]], state_dict: Mapping[str, Any], what: str
) -> None:
    """Compare weights with what a network needs.

    Args:
        what: Begins the error message.

    Raises:
        UserError: a weight is missing, left over, or of another shape or kind.
    """
    compared = compare_weights(expected, state_dict)
    faults = {
        'missing': compared.missing,
        'unexpected': [str(name) for name in compared.unexpected],
        'of another shape or kind': compared.differing,
    }
    parts = [f'{len(v)} {fault} ({min(v)[:100]})' for fault, v in faults.items() if v]
    if parts:
        raise UserError(f'{what}: {", ".join(parts)}.')


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
