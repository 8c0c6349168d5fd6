"""The 20 cells of the paper's Table 7: each is a config, of the complexity that it claims."""

import copy
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config

from lighthead.models.backbones import zoo
from lighthead.speed.detectors.table7 import table7_rows
from lighthead.weights import adapt_model_cfg, from_scratch

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
MAIN = ('_x0_5', '', '_x1_5', '_x2_0')
STEMS = {'Xception': 'xception', 'ShuffleNet v1': 'shufflenetv1', 'MobileNet v2': 'mobilenetv2'}


def config_name(network: zoo.Network) -> str:
    """The file of a cell, relative to configs/; the v2 and v2* cells are the main configs."""
    if network.family in STEMS:
        return f'table7/{STEMS[network.family]}_{network.column.lower()}.py'
    star = 'star' if network.family.endswith('*') else ''
    return f'lighthead_shufflev2{star}{MAIN[zoo.COLUMNS.index(network.column)]}.py'


every_cell = pytest.mark.parametrize(
    'network', [pytest.param(n, id=config_name(n)) for n in zoo.TABLE7]
)


def model_cfg(network: zoo.Network) -> dict:
    cfg = copy.deepcopy(Config.fromfile(CONFIGS / config_name(network)).model)
    from_scratch(cfg)
    return cfg


@every_cell
def test_the_backbone_is_the_cells(network: zoo.Network) -> None:
    """Its multiply-adds are counted in ``tests/models/backbones/test_complexity.py``."""
    backbone = {'star': False} | model_cfg(network).backbone
    expected = {'star': False} | network.cfg
    assert {key: backbone[key] for key in expected} == expected
    training = {'norm_cfg', 'norm_eval', 'frozen_stages', 'init_cfg'}
    assert backbone.keys() - expected.keys() - training <= {'out_indices', 'act_cfg'}


@every_cell
def test_the_heads_take_what_the_backbone_gives(network: zoo.Network) -> None:
    cfg = model_cfg(network)
    with torch.device('meta'):
        backbone = MODELS.build(cfg.backbone)
    last = len(backbone.stage_names) - 1
    assert backbone.out_indices == (1, last)
    assert (cfg.rpn_head.in_channels, cfg.neck.in_channels) == backbone.out_channels


@pytest.mark.parametrize(
    'network',
    [pytest.param(n, id=config_name(n)) for n in zoo.TABLE7 if n.column == '40M'],
)
def test_learns_a_step_and_detects(network: zoo.Network) -> None:
    cfg = model_cfg(network)
    adapt_model_cfg(cfg)
    model = MODELS.build(cfg).train()
    inputs = demo_mm_inputs(1, [[3, 96, 96]], num_items=[3], num_classes=80)
    data = model.data_preprocessor(copy.deepcopy(inputs), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.isfinite()
    assert loss > 0
    model.eval()
    data = model.data_preprocessor(inputs, training=False)
    with torch.no_grad():
        found = model(**data, mode='predict')[0].pred_instances
    assert found.bboxes.shape == (len(found), 4)
    assert found.scores.isfinite().all()


def test_the_folder_holds_the_other_twelve_cells() -> None:
    files = {f'table7/{path.name}' for path in (CONFIGS / 'table7').glob('*.py')}
    assert files == {config_name(n) for n in zoo.TABLE7 if n.family in STEMS}


def test_the_page_shows_what_is_counted() -> None:
    readme = (CONFIGS.parent / 'docs' / 'results.md').read_text().splitlines()
    names = [str(CONFIGS / config_name(network)) for network in zoo.TABLE7]
    rows = list(table7_rows(names))
    assert len(rows) == 22
    shown = {line.split('|')[1]: line.split('|')[:-2] for line in readme if line.startswith('| `')}
    for row in rows[2:]:
        assert shown[row.split('|')[1]] == row.split('|')[:-2], 'all but the last column'


def test_cells_differ_from_the_main_config_in_the_backbone_and_its_channels_only() -> None:
    main = Config.fromfile(CONFIGS / 'lighthead_shufflev2star.py')
    for network in zoo.TABLE7:
        cfg = Config.fromfile(CONFIGS / config_name(network))
        cfg.model.backbone = main.model.backbone
        cfg.model.neck.in_channels = main.model.neck.in_channels
        cfg.model.rpn_head.in_channels = main.model.rpn_head.in_channels
        assert cfg.to_dict() == main.to_dict(), config_name(network)
