"""Which cell of Table 7 a detector stands for, and its row for the README (arXiv 1807.11164)."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from mmdet.models.detectors import BaseDetector

from lighthead.models.classifier import ImageClassifier
from lighthead.speed.detectors.build import build_mmdet_detector, read_config, without_weights
from lighthead.speed.detectors.complexity import detector_shares
from lighthead.speed.harness.complexity import count_on_meta
from lighthead.speed.paper.table7 import COMPLEXITIES, IMAGE_SIZE, TABLE7

STAGE4_CHANNELS = {
    # backbone: channels of stage4 in the four columns of Table 7
    'ShuffleNetV2': (192, 464, 704, 976),
    'ShuffleNetV1': (480, 960, 1440, 1920),
    'LightXception': (288, 576, 864, 1136),
    'StagedMobileNetV2': (90, 204, 320, 448),
}
ROWS = {
    'ShuffleNetV2': 'ShuffleNet v2',
    'ShuffleNetV1': 'ShuffleNet v1',
    'LightXception': 'Xception',
    'StagedMobileNetV2': 'MobileNet v2',
}
HEADER = (
    '| config | backbone | backbone, M MACs at 224 | detector, G MACs at 800x1200 | M parameters '
    '| paper: mmAP | paper: images/s | measured: mmAP |',
    '|---|---|---|---|---|---|---|---|',
)


def table7_cell(model: BaseDetector) -> tuple[str, int] | None:
    """The row and column of Table 7 that the detector stands for, by its backbone."""
    kind = type(model.backbone).__name__
    if type(model).__name__ != 'LightHeadRCNN' or kind not in ROWS:
        return None
    star = any(name.endswith('star.conv') for name, _ in model.backbone.named_modules())
    row = ROWS[kind] + ('*' if star and kind == 'ShuffleNetV2' else '')
    channels = model.backbone.stage_channels[2]
    distances = [abs(channels - known) for known in STAGE4_CHANNELS[kind]]
    return row, distances.index(min(distances))


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
        cell_name = average_precision = images_per_s = '-'
        if cell is not None:
            row, column = cell
            cell_name = f'{row} {COMPLEXITIES[column]}'.replace('*', '\\*')
            average_precision = f'{TABLE7[row].map[column]}'
            images_per_s = f'{TABLE7[row].images_per_s[column]}'
        figures = (
            f'`{Path(name).stem}`',
            cell_name,
            f'{backbone_macs(name) / 1e6:.1f}',
            f'{sum(share.macs for share in shares) / 1e9:.2f}',
            f'{sum(share.parameters for share in shares) / 1e6:.2f}',
            average_precision,
            images_per_s,
            'not measured',
        )
        yield f'| {" | ".join(figures)} |'


def backbone_macs(name: str) -> int:
    """Multiply-adds of a config's backbone as a classifier of 1000 classes at 224 px."""
    backbone = read_config(name).model.backbone
    without_weights(backbone)
    return count_on_meta(partial(ImageClassifier, dict(backbone)), (1, 3, 224, 224)).macs
