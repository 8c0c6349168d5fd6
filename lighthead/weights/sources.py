"""What pretrained weights expect of their images, and with which activation they were trained.

Facts: torchvision's presets; the authors' release of ShuffleNet v1 and V2 (BGR, 0..255,
neither mean nor std); timm's MobileNet v2 (as torchvision's); the ``meta`` of files that carry one,
checked by a closed schema (:mod:`lighthead.weights.facts`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.logging import print_log

from lighthead.errors import UserError
from lighthead.weights import fetch, layouts
from lighthead.weights.facts import EARLIER_KEY, ImageFacts
from lighthead.weights.files import WeightFile, read_weight_file

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
META_KEY = 'preprocessing'
"""Under this key of ``meta``, checkpoints of lighthead carry :meth:`WeightSource.to_meta`."""
MAX_NUMBER = 1e6
"""Larger numbers in a file's ``meta`` are not worth a multiplication."""


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
        """Plain data for a checkpoint's ``meta``: :class:`lighthead.weights.facts.ImageFacts`."""
        return dict(
            color_order=self.color_order,
            mean=list(self.mean),
            std=list(self.std),
            act_cfg=self.act_cfg,
        )


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
    """The source of a file that was read.

    Raises:
        UserError: its ``meta`` does not describe the preprocessing of its images properly.
    """
    layout = layouts.recognise(file.state_dict)
    entry = layouts.is_paper_entry(layouts.convert(file.state_dict))
    what = f'The description of the images in {file.path}'
    if EARLIER_KEY in file.meta and META_KEY not in file.meta:
        raise UserError(
            f'{file.path} was written by an earlier version of lighthead and does not say how its '
            'images were normalised: train it again.'
        )
    facts = _own_facts(file.meta, what) or _published_facts(file.meta, what)
    if facts is not None:
        act_cfg = facts.act_cfg.to_cfg() if facts.act_cfg else None
        return WeightSource(
            file.path.name, layout, facts.color_order, facts.mean, facts.std, act_cfg, entry
        )
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


def _own_facts(meta: Mapping[str, Any], what: str) -> ImageFacts | None:
    """Checkpoints of lighthead: what :meth:`WeightSource.to_meta` wrote."""
    facts = meta.get(META_KEY)
    if facts is None:
        return None
    # safetensors files hold strings only
    return (ImageFacts.parse_json if isinstance(facts, str) else ImageFacts.parse)(facts, what)


def _published_facts(meta: Mapping[str, Any], what: str) -> ImageFacts | None:
    """Files that describe themselves by input_channel_order, input_range, mean_bgr_0, ..."""
    if 'input_channel_order' not in meta:
        return None
    order = str(meta['input_channel_order']).lower()[:3]
    unit = 255.0 if re.match(r'0-1\b', str(meta.get('input_range', ''))) else 1.0
    act_cfg = None
    if 'activation' in meta:
        act_cfg = dict(type=meta['activation'], negative_slope=meta.get('negative_slope'))
    return ImageFacts.parse(
        dict(
            color_order=order,
            mean=[_scaled(meta.get(f'mean_{order}_{i}', 0.0), unit) for i in range(3)],
            std=[_scaled(meta.get(f'std_{order}_{i}', 1.0), unit) for i in range(3)],
            act_cfg=act_cfg,
        ),
        what,
    )


def _scaled(value: Any, unit: float) -> Any:
    """A number in units of 0..255; what is no number is left to the schema."""
    return unit * value if isinstance(value, int | float) and abs(value) < MAX_NUMBER else value
