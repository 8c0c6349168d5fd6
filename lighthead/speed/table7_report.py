"""Table 7's rows for the README: what a detector costs beside what the paper measured."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from lighthead.models.classifier import ImageClassifier
from lighthead.speed.complexity import count_on_meta
from lighthead.speed.detector import table7_cell
from lighthead.speed.detector_complexity import detector_shares
from lighthead.speed.detectors import build_mmdet_detector, read_config, without_weights
from lighthead.speed.paper.table7 import COMPLEXITIES, IMAGE_SIZE, TABLE7

HEADER = (
    '| config | backbone | backbone, M MACs at 224 | detector, G MACs at 800x1200 | M parameters '
    '| paper: mmAP | paper: images/s | ours: mmAP |',
    '|---|---|---|---|---|---|---|---|',
)


def table7_rows(configs: Iterable[str]) -> Iterator[str]:
    """The table in Markdown, line by line; MACs are counted, nothing is timed.

    Args:
        configs: Files of detectors. One that is none of the table's cells has no figures
            of the paper.
    """
    yield from HEADER
    for name in configs:
        model = build_mmdet_detector(name)
        cell = table7_cell(model)
        shares = detector_shares(model, *IMAGE_SIZE)
        row = TABLE7[cell[0]] if cell else None
        figures = (
            f'`{Path(name).stem}`',
            f'{cell[0]} {COMPLEXITIES[cell[1]]}'.replace('*', '\\*') if cell else '-',
            f'{backbone_macs(name) / 1e6:.1f}',
            f'{sum(share.macs for share in shares) / 1e9:.2f}',
            f'{sum(share.parameters for share in shares) / 1e6:.2f}',
            f'{row.map[cell[1]]}' if row else '-',
            f'{row.images_per_s[cell[1]]}' if row else '-',
            'not measured',
        )
        yield f'| {" | ".join(figures)} |'


def backbone_macs(name: str) -> int:
    """Multiply-adds of a config's backbone as a classifier of 1000 classes at 224 px."""
    backbone = read_config(name).model.backbone
    without_weights(backbone)
    build = partial(ImageClassifier, dict(backbone))
    return count_on_meta(build, (1, 3, 224, 224)).macs
