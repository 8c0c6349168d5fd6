"""What pretrained weights expect of their images, and with which activation they were trained.

Facts: torchvision's presets; the authors' release of ShuffleNet v1 and V2 (BGR, 0..255,
neither mean nor std); timm's MobileNet v2 (as torchvision's); the ``meta`` of files that carry one.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from lighthead.errors import UserError
from lighthead.weights import fetch, layouts
from lighthead.weights.files import WeightFile, read_weight_file

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
META_KEY = 'preprocessing'
"""Under this key of ``meta`` our own checkpoints carry :meth:`WeightSource.to_meta`."""


@dataclass(frozen=True)
class WeightSource:
    """Where weights come from, and what they need.

    ``mean`` and ``std`` are in units of 0..255, in the order of
    ``color_order``. ``act_cfg`` is None where nothing is known.
    ``paper_entry``: see :func:`lighthead.weights.layouts.is_paper_entry`.
    """

    name: str
    layout: str
    color_order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    act_cfg: dict[str, Any] | None = None
    paper_entry: bool = False

    def to_preprocessor(self) -> dict[str, Any]:
        """Settings of mmdet's DetDataPreprocessor, whose images arrive in BGR."""
        return dict(mean=list(self.mean), std=list(self.std), bgr_to_rgb=self.color_order == 'rgb')

    def to_meta(self) -> dict[str, Any]:
        """Plain data for a checkpoint's ``meta``."""
        return {**asdict(self), 'mean': list(self.mean), 'std': list(self.std)}


SOURCES = {
    # layout of a file without meta -> what it is taken for
    layouts.TORCHVISION: WeightSource(
        'torchvision', layouts.TORCHVISION, 'rgb', IMAGENET_MEAN, IMAGENET_STD, dict(type='ReLU')
    ),
    layouts.MEGVII: WeightSource(
        'megvii', layouts.MEGVII, 'bgr', (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), dict(type='ReLU')
    ),
    layouts.MEGVII_V1: WeightSource(
        'megvii', layouts.MEGVII_V1, 'bgr', (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), dict(type='ReLU')
    ),
    layouts.TIMM: WeightSource(
        'timm', layouts.TIMM, 'rgb', IMAGENET_MEAN, IMAGENET_STD, dict(type='ReLU6')
    ),
    layouts.OTHER: WeightSource('unknown', layouts.OTHER, 'rgb', IMAGENET_MEAN, IMAGENET_STD),
}
TORCHVISION_ACTIVATIONS = {
    'shufflenet_v2': dict(type='ReLU'),
    'mobilenet_v2': dict(type='ReLU6'),
    'resnet': dict(type='ReLU'),
}
SCRATCH = SOURCES[layouts.TORCHVISION]
"""The preprocessing and activation of a network that starts from no weights."""


def resolve_weight_source(checkpoint: str) -> WeightSource:
    """What the weights at ``checkpoint`` need.

    ``torchvision://`` is answered from torchvision's presets, without a
    download; an address or a file from its ``meta`` or, without one, its layout.

    Raises:
        UserError: see :func:`lighthead.weights.fetch.locate` and
            :func:`lighthead.weights.files.read_weight_file`.
    """
    if checkpoint.startswith(fetch.TORCHVISION):
        return torchvision_source(checkpoint)
    return source_of_file(read_weight_file(fetch.locate(checkpoint)))


def torchvision_source(checkpoint: str) -> WeightSource:
    """The source of ``torchvision://<model>``."""
    preset = fetch.torchvision_weights(checkpoint).transforms()
    name = checkpoint.removeprefix(fetch.TORCHVISION)
    acts = [act for prefix, act in TORCHVISION_ACTIVATIONS.items() if name.startswith(prefix)]
    return WeightSource(
        checkpoint,
        layouts.TORCHVISION,
        'rgb',
        tuple(round(255 * value, 4) for value in preset.mean),
        tuple(round(255 * value, 4) for value in preset.std),
        acts[0] if acts else None,
    )


def source_of_file(file: WeightFile) -> WeightSource:
    """The source of a file that was read."""
    layout = layouts.recognise(file.state_dict)
    entry = layouts.is_paper_entry(layouts.convert(file.state_dict))
    for describe in (_from_preprocessing, _from_published_meta, _from_config):
        try:
            facts = describe(file.meta)
            if facts is not None:
                source = WeightSource(file.path.name, layout, **{'paper_entry': entry} | facts)
                _check(source, file.path)
                return source
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f'{file.path}: its meta does not describe the preprocessing of its images '
                f'({type(error).__name__}: {error}).'
            ) from error
    known = SOURCES[layout]
    if layout == layouts.OTHER:
        print_log(
            f'{file.path} does not say how its images were normalised: '
            "RGB with torchvision's mean and std is assumed.",
            logger='current',
            level=30,
        )
    return WeightSource(
        file.path.name, layout, known.color_order, known.mean, known.std, known.act_cfg, entry
    )


def _from_preprocessing(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """Our own checkpoints: what :meth:`WeightSource.to_meta` wrote."""
    facts = meta.get(META_KEY)
    if facts is None:
        return None
    if isinstance(facts, str):  # safetensors files hold strings only
        facts = json.loads(facts)
    return dict(
        color_order=facts['color_order'],
        mean=_triple(facts['mean']),
        std=_triple(facts['std']),
        act_cfg=facts.get('act_cfg'),
    )


def _from_published_meta(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """Files that describe themselves by input_channel_order, input_range, mean_bgr_0, ..."""
    if 'input_channel_order' not in meta:
        return None
    order = str(meta['input_channel_order']).lower()
    unit = 255.0 if re.match(r'0-1\b', str(meta.get('input_range', ''))) else 1.0
    mean = [unit * meta.get(f'mean_{order}_{i}', 0.0) for i in range(3)]
    std = [unit * meta.get(f'std_{order}_{i}', 1.0) for i in range(3)]
    act_cfg = None
    if 'activation' in meta:
        act_cfg = dict(type=meta['activation'])
        if 'negative_slope' in meta:
            act_cfg['negative_slope'] = meta['negative_slope']
    return dict(color_order=order, mean=_triple(mean), std=_triple(std), act_cfg=act_cfg)


def _from_config(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """Our detectors' checkpoints, whose config travels as JSON; it is read, never built."""
    if 'config_json' not in meta:
        return None
    model = json.loads(meta['config_json'])['model']
    preprocessor = model['data_preprocessor']
    flipped = preprocessor.get('bgr_to_rgb') or preprocessor.get('rgb_to_bgr')
    return dict(
        color_order='rgb' if flipped else 'bgr',
        mean=_triple(preprocessor.get('mean') or (0.0, 0.0, 0.0)),
        std=_triple(preprocessor.get('std') or (1.0, 1.0, 1.0)),
        act_cfg=model['backbone'].get('act_cfg'),
    )


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _check(source: WeightSource, path: Path) -> None:
    if source.color_order not in ('rgb', 'bgr') or min(source.std) <= 0:
        raise UserError(
            f'{path}: its meta gives color order {source.color_order!r} and std {source.std}; '
            "'rgb' or 'bgr' and positive numbers are expected."
        )
