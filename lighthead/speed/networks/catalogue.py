"""Every network of Table 8, as data (arXiv 1807.11164).

Where the network of the paper's name has the paper's complexity there is one
entry, ``nominal``. Where it has not, or where the paper leaves the widths open,
there are two: ``nominal`` and ``matched``. How the matched one was chosen:

* MobileNet v2 (0.4, 0.15, 0.75, 0.6): the multiplier, in steps of 0.01, that
  comes closest to the paper's figure, with the coarsest rounding of channels
  (8, 4 or 2) that comes within 2 %.
* IGCV3-D (0.7, 1.4): the multiplier, in steps of 0.005, that comes closest.
* DenseNet: the growth rate 21 of the 1x network comes closest to 142 M. Nominal:
  this rate times 0.5, 1.5, 2, rounded (10, 32, 42); matched: the rate that comes
  closest (43 for 2x), and 9 with a stem of 26 for 0.5x, since rates are whole.
* Xception: see :class:`lighthead.models.backbones.LightXception`.
* IGCV2: the widths were read off the three complexities and meet them, see
  :mod:`lighthead.speed.networks.igcv2`; there is nothing left to match.

``tolerance`` is how far the MACs may be from the paper's (2 %; CondenseNet 5 %; SE 3 %:
reduction 16 on the branch adds fewer MACs than the paper's, which is not
described); None where the nominal network is known to miss them.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import torch.nn as nn

from lighthead.errors import UserError
from lighthead.speed.networks.builders import (
    from_backbone,
    from_callable,
    from_pytorchcv,
    mobilenet_v2,
)
from lighthead.speed.networks.densenet import small_densenet
from lighthead.speed.networks.igcv2 import igcv2
from lighthead.speed.networks.pnasnet import pnasnet5_mobile
from lighthead.speed.paper.table8 import BY_MODEL, TABLE8
from lighthead.speed.paper.table8 import Row as PaperRow

FAMILIES = (
    *('ShuffleNet v2', 'ShuffleNet v1', 'MobileNet v1', 'MobileNet v2', 'DenseNet', 'Xception'),
    *('IGCV2', 'IGCV3-D', 'CondenseNet', 'NASNet-A', 'PNASNet-5', 'ShuffleNet v2 + SE'),
)
OWN = 'own'
"""Kind and family of networks that the user names."""


class Network(NamedTuple):
    """A network that stands for a row of Table 8, or one of the user's (``kind`` 'own').

    ``model`` is the row's name, ``kind`` nominal or matched (to the paper's complexity).
    """

    model: str
    build: Callable[[], nn.Module]
    kind: str = 'nominal'
    tolerance: float | None = 0.02
    source: str = 'lighthead'

    @property
    def key(self) -> str:
        """A name for command lines and files."""
        if self.kind == OWN:
            return self.model
        kept = ''.join(c if c.isalnum() or c in '.-' else '_' for c in self.model.lower())
        stem = '_'.join(part for part in kept.split('_') if part)
        return stem + ('_matched' if self.kind == 'matched' else '')

    @property
    def family(self) -> str:
        """The model's name without its width."""
        if self.kind == OWN:
            return OWN
        if self.model.endswith('SE'):
            return FAMILIES[-1]
        return next(name for name in FAMILIES if self.model.startswith(name))

    @property
    def paper(self) -> PaperRow:
        """The row of the paper; one without figures for the user's networks."""
        return BY_MODEL.get(self.model, PaperRow(self.model, None, None, None, None))

    @property
    def label(self) -> str:
        """The row's name, marked where this is the matched network."""
        return self.model + (' (matched)' if self.kind == 'matched' else '')


def _shufflenet(version: int, width: float) -> Network:
    build = partial(from_backbone, f'ShuffleNetV{version}', widen_factor=width)
    return Network(f'ShuffleNet v{version} {width:g}x', build)


def _mobilenet_v1(name: str, function: str) -> Network:
    build = partial(from_pytorchcv, 'mobilenet', function)
    return Network(f'MobileNet v1 {name}', build, source='pytorchcv')


def _mobilenet_v2(name: str, width: float, round_to: int = 8, **other) -> Network:
    build = partial(mobilenet_v2, width, round_to)
    return Network(f'MobileNet v2 {name}', build, source='torchvision', **other)


def _xception(width: float, matched: bool, **other) -> Network:
    build = partial(from_backbone, 'LightXception', widen_factor=width, matched=matched)
    return Network(f'Xception {width:g}x', build, **other)


def _densenet(width: float, growth: int, stem: int = 24, **other) -> Network:
    return Network(f'DenseNet {width:g}x', partial(small_densenet, growth, stem), **other)


def _igcv3(name: str, width: float, **other) -> Network:
    build = partial(from_pytorchcv, 'igcv3', 'get_igcv3', width_scale=width)
    return Network(f'IGCV3-D{name}', build, source='pytorchcv', **other)


def _condensenet(groups: int) -> Network:
    function = f'condensenet74_c{groups}_g{groups}'
    build = partial(from_pytorchcv, 'condensenet', function)
    return Network(f'CondenseNet (G=C={groups})', build, tolerance=0.05, source='pytorchcv')


MISSES = dict(tolerance=None)
MATCHED = dict(kind='matched')

_UNORDERED = (
    *(_shufflenet(2, width) for width in (0.5, 1.0, 1.5, 2.0)),
    Network(
        'ShuffleNet v2 2x + SE',
        partial(from_backbone, 'ShuffleNetV2SE', widen_factor=2.0),
        tolerance=0.03,
    ),
    *(_shufflenet(1, width) for width in (0.5, 1.0, 1.5, 2.0)),
    _mobilenet_v1('0.25', 'mobilenet_wd4'),
    _mobilenet_v1('0.5', 'mobilenet_wd2'),
    _mobilenet_v1('0.75', 'mobilenet_w3d4'),
    _mobilenet_v1('1.0', 'mobilenet_w1'),
    _mobilenet_v2('0.4', 0.4, **MISSES),
    _mobilenet_v2('0.4', 0.47, 4, **MATCHED),
    _mobilenet_v2('0.15', 0.15, **MISSES),
    _mobilenet_v2('0.15', 0.28, 2, **MATCHED),
    _mobilenet_v2('0.75', 0.75, **MISSES),
    _mobilenet_v2('0.75', 0.79, 4, **MATCHED),
    _mobilenet_v2('0.6', 0.6, **MISSES),
    _mobilenet_v2('0.6', 0.64, 4, **MATCHED),
    _mobilenet_v2('1.0', 1.0),
    _mobilenet_v2('1.0 (our impl.)', 1.0),
    _mobilenet_v2('1.4', 1.4),
    _mobilenet_v2('1.4 (our impl.)', 1.4),
    _xception(0.5, False, **MISSES),
    _xception(0.5, True, **MATCHED),
    _xception(1.0, False),
    _xception(1.5, False),
    _xception(2.0, False, **MISSES),
    _xception(2.0, True, **MATCHED),
    _densenet(0.5, 10, **MISSES),
    _densenet(0.5, 9, 26, **MATCHED),
    _densenet(1.0, 21),
    _densenet(1.5, 32),
    _densenet(2.0, 42, **MISSES),
    _densenet(2.0, 43, **MATCHED),
    *(Network(f'IGCV2-{width}', partial(igcv2, width)) for width in (0.25, 0.5, 1.0)),
    _igcv3(' 0.7', 0.7, **MISSES),
    _igcv3(' 0.7', 0.795, **MATCHED),
    _igcv3('', 1.0),
    _igcv3(' 1.4', 1.4, **MISSES),
    _igcv3(' 1.4', 1.435, **MATCHED),
    _condensenet(8),
    _condensenet(4),
    Network(
        'NASNet-A (4 @ 1056)',
        partial(from_pytorchcv, 'nasnet', 'nasnet_4a1056'),
        source='pytorchcv',
    ),
    Network('PNASNet-5', pnasnet5_mobile),
)

_ORDER = {row.model: place for place, row in enumerate(TABLE8)}
NETWORKS = {
    network.key: network
    for network in sorted(_UNORDERED, key=lambda n: (_ORDER[n.model], n.kind == 'matched'))
}
"""By key, in the order of the paper's rows."""


@cache
def stand_ins() -> tuple[Network, ...]:
    """One network per row: the matched one where there is one."""
    matched = {network.model for network in NETWORKS.values() if network.kind == 'matched'}
    return tuple(n for n in NETWORKS.values() if n.kind == 'matched' or n.model not in matched)


def find_network(key: str) -> Network:
    """The network of this key, or the user's ``package.module:callable``."""
    if ':' in key:
        return Network(key, partial(from_callable, key), OWN, source=OWN)
    if key not in NETWORKS:
        raise UserError(
            f'there is no network {key!r}: choose from {", ".join(NETWORKS)}, or write '
            'package.module:callable for one of your own.'
        )
    return NETWORKS[key]


def build_network(key: str) -> nn.Module:
    """The network of this key, for processes that only get names."""
    return find_network(key).build()
