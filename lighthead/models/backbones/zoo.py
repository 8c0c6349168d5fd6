"""The networks of the paper's Table 7 (arXiv 1807.11164) and their relatives, as data.

Multiply-adds are those of the classifier at 224 px, fc 1000 included, in
millions: the paper's figure and the count here. ``matched`` networks
differ from the nominal width or layout to meet the paper's complexity; the
class that builds them says how. ShuffleNetV2* has no figures in the paper.
"""

from typing import Any, NamedTuple

COLUMNS = ('40M', '140M', '300M', '500M')
"""Columns of Table 7."""
WIDEN_FACTORS = (0.5, 1.0, 1.5, 2.0)
MOBILENET_FACTORS = (0.15, 0.6, 1.0, 1.4)


class Network(NamedTuple):
    """One network; ``paper`` and ``counted`` in millions of multiply-adds."""

    family: str
    column: str
    """Column of Table 7; empty where the network is in none of its cells."""
    paper: float | None
    counted: float
    kind: str
    """nominal or matched."""
    cfg: dict[str, Any]

    @property
    def deviation(self) -> float:
        """The count over the paper's figure, minus one; 0 where the paper gives none."""
        return self.counted / self.paper - 1 if self.paper else 0.0


def _row(
    family: str,
    cfg: dict[str, Any],
    factors: tuple[float, ...],
    paper: tuple[float | None, ...],
    counted: tuple[float, ...],
    matched: tuple[float, ...] = (),
) -> tuple[Network, ...]:
    """A row of Table 7; ``matched`` names the widen factors that are not nominal."""
    return tuple(
        Network(
            family,
            column,
            figure,
            count,
            'matched' if factor in matched else 'nominal',
            dict(cfg, widen_factor=factor),
        )
        for column, factor, figure, count in zip(COLUMNS, factors, paper, counted, strict=True)
    )


TABLE7: tuple[Network, ...] = (
    *_row(
        'Xception',
        dict(type='LightXception'),
        WIDEN_FACTORS,
        (40, 145, 305, 525),
        (40.04, 143.08, 308.10, 523.66),
        matched=(0.5, 2.0),
    ),
    *_row(
        'ShuffleNet v1',
        dict(type='ShuffleNetV1'),
        WIDEN_FACTORS,
        (38, 140, 292, 524),
        (37.59, 137.46, 292.44, 524.05),
    ),
    *_row(
        'MobileNet v2',
        dict(type='StagedMobileNetV2'),
        MOBILENET_FACTORS,
        (39, 141, 300, 585),
        (39.29, 139.28, 300.77, 582.20),
        matched=(0.15, 0.6),
    ),
    *_row(
        'ShuffleNet v2',
        dict(type='ShuffleNetV2'),
        WIDEN_FACTORS,
        (41, 146, 299, 591),
        (40.48, 144.91, 295.76, 583.25),
    ),
    *_row(
        'ShuffleNet v2*',
        dict(type='ShuffleNetV2', star=True),
        WIDEN_FACTORS,
        (None, None, None, None),
        (42.89, 149.78, 302.80, 592.75),
    ),
)
"""The 20 cells, row by row."""


def _nominal(family: str, name: str, factor: float, paper: float, counted: float) -> Network:
    cfg = dict(type=name, widen_factor=factor, matched=False)
    return Network(family, '', paper, counted, 'nominal', cfg)


UNMATCHED: tuple[Network, ...] = (
    _nominal('Xception', 'LightXception', 0.5, 40, 43.09),
    _nominal('Xception', 'LightXception', 2.0, 525, 538.14),
    _nominal('MobileNet v2', 'StagedMobileNetV2', 0.15, 39, 30.57),
    _nominal('MobileNet v2', 'StagedMobileNetV2', 0.6, 141, 150.96),
)
"""Nominal networks that miss the paper's figure, for each matched one of Table 7."""

AUTHORS: tuple[Network, ...] = tuple(
    Network(
        'ShuffleNet v2, as released',
        '',
        paper,
        counted,
        'nominal',
        dict(type='AuthorsShuffleNetV2', widen_factor=factor),
    )
    for factor, paper, counted in zip(
        WIDEN_FACTORS, (41, 146, 299, 591), (40.48, 145.81, 298.97, 590.78), strict=True
    )
)
"""The authors' own code, whose first unit of stage2 divides its channels unequally."""

RELATIVES: tuple[Network, ...] = (
    Network(
        'ShuffleNet v2 + SE',
        '',
        597,
        583.44,
        'nominal',
        dict(type='ShuffleNetV2SE', widen_factor=2.0),
    ),
    Network('ShuffleNet v1-50', '', 2300, 2297.08, 'nominal', dict(type='LargeShuffleNetV1')),
    Network(
        'ShuffleNet v2-50', '', 2300, 2304.15, 'nominal', dict(type='LargeShuffleNetV2', depth=50)
    ),
    Network(
        'SE-ShuffleNet v2-164',
        '',
        12700,
        12780.65,
        'nominal',
        dict(type='LargeShuffleNetV2', depth=164),
    ),
)
"""Tables 6 and 8: with SE, and the large networks."""

NETWORKS = TABLE7 + UNMATCHED + AUTHORS + RELATIVES


def cell(family: str, column: str) -> Network:
    """The network of a cell of Table 7."""
    return next(n for n in TABLE7 if (n.family, n.column) == (family, column))
