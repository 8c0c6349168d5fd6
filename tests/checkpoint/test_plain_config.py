"""Configs travel as JSON, come back unchanged, and never run anything."""

import copy
import json
import sys
from pathlib import Path

import pytest
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.hub import get_config

from lighthead.checkpoint import plain_config
from lighthead.checkpoint.plain_config import (
    config_from_json,
    config_to_json,
    model_config_from_json,
)
from lighthead.errors import UserError

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def small() -> dict:
    return {
        'default_scope': 'mmdet',
        'custom_imports': {'imports': ['lighthead'], 'allow_failed_imports': False},
        'model': {
            'type': 'ShuffleNetV2',
            'widen_factor': 0.5,
            'out_indices': (1, 3),
            'init_cfg': {'type': 'Pretrained', 'checkpoint': 'torchvision://x'},
        },
        'pipeline': [{'type': 'Resize', 'scale': (1200, 800)}, {'type': 'PackDetInputs'}],
        'optim_wrapper': {'clip_grad': {'type': 'norm', 'max_norm': 35}},
        'values': [None, True, 1, 1.5, float('inf'), 'text', (), [(1, 2), [3]]],
    }


def test_round_trip_keeps_values_and_tuples() -> None:
    back = config_from_json(config_to_json(Config(small())))
    assert back.to_dict() == small()
    assert isinstance(back.model.out_indices, tuple)
    assert isinstance(back['values'][-1][0], tuple)


@pytest.mark.parametrize('name', ['lighthead_shufflev2star.py', 'lighthead_shufflev2_x0_5.py'])
def test_real_config_round_trip(name: str) -> None:
    cfg = Config.fromfile(CONFIGS / name)
    text = config_to_json(cfg)
    assert config_from_json(text).to_dict() == cfg.to_dict()
    model = model_config_from_json(text)
    assert 'init_cfg' not in json.dumps(model.to_dict())
    detector = MODELS.build(model)
    assert type(detector).__name__ == 'LightHeadRCNN'


def test_stock_mmdet_config_round_trip() -> None:
    cfg = get_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py')
    assert config_from_json(config_to_json(cfg)).to_dict() == cfg.to_dict()
    assert model_config_from_json(config_to_json(cfg)).type == 'FasterRCNN'


def edited(path: str, value: object) -> str:
    cfg = copy.deepcopy(small())
    *parents, last = path.split('/')
    node = cfg
    for key in parents:
        node = node[int(key) if isinstance(node, list) else key]
    node[last] = value
    return config_to_json(cfg)


HOSTILE = [
    ('model', {'type': 'subprocess.Popen', 'args': ['touch', 'ran']}),
    ('model', {'type': 'os.system', 'command': 'touch ran'}),
    ('model/type', 'subprocess'),
    ('model/type', 'this'),
    ('model/type', 'mmpretrain.ResNet'),
    ('model/type', 'mmengine.fileio.rmtree'),
    ('model/type', 3),
    ('model/neck', {'type': 'builtins.exec'}),
    ('model/nms', {'type': "__import__('os').system('touch ran')"}),
    ('model/nms', {'type': 'exit()'}),
    ('model/roi_layer', {'type': 'os'}),
    ('model/_scope_', 'antigravity'),
    ('model/teacher_config', 'evil.py'),
    ('model/warp_mode', "__import__('os').system('touch ran')"),
    ('pipeline/0/scale', '{{ fileBasename }}'),
    ('pipeline/0/_delete_', True),
    ('optim_wrapper/constructor', 'evil.Constructor'),
    ('optim_wrapper/clip_grad', {'type': 'os'}),
    ('custom_imports', {'imports': ['lighthead', 'evil']}),
    ('custom_imports', {'imports': 'evil'}),
    ('custom_imports', ['evil']),
    ('default_scope', 'evil'),
    ('runner_type', 'evil.Runner'),
    ('_base_', ['evil.py']),
    ('text', 'import os'),
]


@pytest.mark.parametrize(('path', 'value'), HOSTILE, ids=lambda v: str(v)[:30])
def test_hostile_config_is_refused_and_imports_nothing(
    path: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'evil.py').write_text("open('ran', 'w')")
    (tmp_path / 'evil').mkdir()
    (tmp_path / 'evil' / '__init__.py').write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    with pytest.raises(UserError, match=r'refused|reserves'):
        config_from_json(edited(path, value))
    if path.startswith('model'):
        with pytest.raises(UserError):
            model_config_from_json(edited(path, value))
    assert not (tmp_path / 'ran').exists()
    assert not {'evil', 'this', 'antigravity'} & (set(sys.modules) - before)


def test_model_config_allows_models_only() -> None:
    with pytest.raises(UserError, match=r"model\.type='EMAHook' is refused"):
        model_config_from_json(edited('model/type', 'EMAHook'))


def test_known_scopes_are_dropped() -> None:
    assert config_from_json(edited('model/type', 'mmdet.ResNet')).model.type == 'ResNet'


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('{', 'not valid JSON'),
        ('[' * 100_000, 'not valid JSON'),
        ('[1]', 'not a JSON object'),
        ('{"a": ' + '[' * 60 + ']' * 60 + '}', 'nested deeper'),
        ('{"a": [' + '0,' * 250_000 + '0]}', 'more than'),
        ('{"a": "' + 'x' * plain_config.MAX_CHARS + '"}', 'no text of at most'),
        ('{"a": {"__tuple__": 3}}', 'tuple'),
    ],
)
def test_malformed_json(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        config_from_json(text)


def test_config_without_model() -> None:
    with pytest.raises(UserError, match='no model'):
        model_config_from_json('{"a": 1}')


@pytest.mark.parametrize('value', [dict, len, object(), {1: 2}])
def test_what_is_no_plain_data_is_named(value: object) -> None:
    with pytest.raises(UserError, match=r'config\.a\[0\]\.b'):
        config_to_json({'a': [{'b': value}]})
