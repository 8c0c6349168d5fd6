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
from typing import Any, NamedTuple

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
from lighthead.speed.paper.table8 import BY_MODEL
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

    @property
    def source(self) -> str:
        """The package that it comes from."""
        if self.kind == OWN:
            return OWN
        function = getattr(self.build, 'func', self.build)
        return {mobilenet_v2: 'torchvision', from_pytorchcv: 'pytorchcv'}.get(function, 'lighthead')

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


def _own(backbone: str, width: float, **other: Any) -> Callable[[], nn.Module]:
    return partial(from_backbone, backbone, widen_factor=width, **other)


def _cv(module: str, function: str, **settings: Any) -> Callable[[], nn.Module]:
    return partial(from_pytorchcv, module, function, **settings)


_misses = partial(Network, tolerance=None)
_matched = partial(Network, kind='matched')

_NETWORKS = (
    # in the order of the paper's rows
    Network('ShuffleNet v2 0.5x', _own('ShuffleNetV2', 0.5)),
    Network('MobileNet v1 0.25', _cv('mobilenet', 'mobilenet_wd4')),
    _misses('MobileNet v2 0.4', partial(mobilenet_v2, 0.4)),
    _matched('MobileNet v2 0.4', partial(mobilenet_v2, 0.47, 4)),
    _misses('MobileNet v2 0.15', partial(mobilenet_v2, 0.15)),
    _matched('MobileNet v2 0.15', partial(mobilenet_v2, 0.28, 2)),
    Network('ShuffleNet v1 0.5x', _own('ShuffleNetV1', 0.5)),
    _misses('DenseNet 0.5x', partial(small_densenet, 10)),
    _matched('DenseNet 0.5x', partial(small_densenet, 9, 26)),
    _misses('Xception 0.5x', _own('LightXception', 0.5, matched=False)),
    _matched('Xception 0.5x', _own('LightXception', 0.5, matched=True)),
    Network('IGCV2-0.25', partial(igcv2, 0.25)),
    Network('ShuffleNet v2 1x', _own('ShuffleNetV2', 1.0)),
    Network('MobileNet v1 0.5', _cv('mobilenet', 'mobilenet_wd2')),
    _misses('MobileNet v2 0.75', partial(mobilenet_v2, 0.75)),
    _matched('MobileNet v2 0.75', partial(mobilenet_v2, 0.79, 4)),
    _misses('MobileNet v2 0.6', partial(mobilenet_v2, 0.6)),
    _matched('MobileNet v2 0.6', partial(mobilenet_v2, 0.64, 4)),
    Network('ShuffleNet v1 1x', _own('ShuffleNetV1', 1.0)),
    Network('DenseNet 1x', partial(small_densenet, 21)),
    Network('Xception 1x', _own('LightXception', 1.0, matched=False)),
    Network('IGCV2-0.5', partial(igcv2, 0.5)),
    _misses('IGCV3-D 0.7', _cv('igcv3', 'get_igcv3', width_scale=0.7)),
    _matched('IGCV3-D 0.7', _cv('igcv3', 'get_igcv3', width_scale=0.795)),
    Network('ShuffleNet v2 1.5x', _own('ShuffleNetV2', 1.5)),
    Network('MobileNet v1 0.75', _cv('mobilenet', 'mobilenet_w3d4')),
    Network('MobileNet v2 1.0', partial(mobilenet_v2, 1.0)),
    Network('MobileNet v2 1.0 (our impl.)', partial(mobilenet_v2, 1.0)),
    Network('ShuffleNet v1 1.5x', _own('ShuffleNetV1', 1.5)),
    Network('DenseNet 1.5x', partial(small_densenet, 32)),
    Network('CondenseNet (G=C=8)', _cv('condensenet', 'condensenet74_c8_g8'), tolerance=0.05),
    Network('Xception 1.5x', _own('LightXception', 1.5, matched=False)),
    Network('IGCV3-D', _cv('igcv3', 'get_igcv3', width_scale=1.0)),
    Network('ShuffleNet v2 2x', _own('ShuffleNetV2', 2.0)),
    Network('MobileNet v1 1.0', _cv('mobilenet', 'mobilenet_w1')),
    Network('MobileNet v2 1.4', partial(mobilenet_v2, 1.4)),
    Network('MobileNet v2 1.4 (our impl.)', partial(mobilenet_v2, 1.4)),
    Network('ShuffleNet v1 2x', _own('ShuffleNetV1', 2.0)),
    _misses('DenseNet 2x', partial(small_densenet, 42)),
    _matched('DenseNet 2x', partial(small_densenet, 43)),
    Network('CondenseNet (G=C=4)', _cv('condensenet', 'condensenet74_c4_g4'), tolerance=0.05),
    _misses('Xception 2x', _own('LightXception', 2.0, matched=False)),
    _matched('Xception 2x', _own('LightXception', 2.0, matched=True)),
    Network('IGCV2-1.0', partial(igcv2, 1.0)),
    _misses('IGCV3-D 1.4', _cv('igcv3', 'get_igcv3', width_scale=1.4)),
    _matched('IGCV3-D 1.4', _cv('igcv3', 'get_igcv3', width_scale=1.435)),
    Network('ShuffleNet v2 2x + SE', _own('ShuffleNetV2SE', 2.0), tolerance=0.03),
    Network('NASNet-A (4 @ 1056)', _cv('nasnet', 'nasnet_4a1056')),
    Network('PNASNet-5', pnasnet5_mobile),
)
NETWORKS = {network.key: network for network in _NETWORKS}
"""By key, in the order of the paper's rows."""


@cache
def stand_ins() -> tuple[Network, ...]:
    """One network per row: the matched one where there is one."""
    matched = {network.model for network in NETWORKS.values() if network.kind == 'matched'}
    return tuple(n for n in NETWORKS.values() if n.kind == 'matched' or n.model not in matched)


def find_network(key: str) -> Network:
    """The network of this key, or the user's ``package.module:callable``."""
    if ':' in key:
        return Network(key, partial(from_callable, key), OWN)
    if key not in NETWORKS:
        raise UserError(
            f'there is no network {key!r}: choose from {", ".join(NETWORKS)}, or write '
            'package.module:callable for one of your own.'
        )
    return NETWORKS[key]


def build_network(key: str) -> nn.Module:
    """The network of this key, for processes that only get names."""
    return find_network(key).build()
