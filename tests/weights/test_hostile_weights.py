"""What a file of weights says of itself runs nothing and allocates nothing."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from mmengine.config import ConfigDict

from lighthead.commands.pretrain_job import pretrain
from lighthead.errors import UserError
from lighthead.weights import adapt_model_cfg, resolve_weight_source
from lighthead.weights.sources import META_KEY

from ..command_line import parse

FACTS = dict(color_order='rgb', mean=[0.0] * 3, std=[255.0] * 3)


@pytest.fixture(params=['.pth', '.safetensors'])
def weights(request, build, tmp_path):
    """``weights(meta)``: a file of either kind with this metadata."""
    tensors = build(widen_factor=0.5).state_dict()

    def write(meta: dict) -> Path:
        path = tmp_path / f'weights{request.param}'
        if request.param == '.pth':
            torch.save(dict(state_dict=tensors, meta=meta), path)
        else:
            strings = {k: v if isinstance(v, str) else json.dumps(v) for k, v in meta.items()}
            safetensors.torch.save_file(tensors, path, metadata=strings)
        return path

    return write


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that a command would make."""
    return tmp_path / 'ran'


@pytest.mark.parametrize('key', ['own', 'published'])
def test_an_activation_runs_no_command(weights, marker: Path, key: str, tmp_path: Path) -> None:
    command = f'touch {marker}'
    if key == 'own':
        meta = {META_KEY: FACTS | dict(act_cfg=dict(type='os.system', command=command))}
    else:
        meta = dict(input_channel_order='bgr', activation='os.system', negative_slope=command)
    path = weights(meta)
    model = ConfigDict(
        backbone=dict(type='ShuffleNetV2', init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    )
    with pytest.raises(UserError, match='refused'):
        adapt_model_cfg(model)
    config = Path(__file__).resolve().parents[2] / 'configs' / 'pretrain' / 'shufflev2_x0_5.py'
    for folder in ('train', 'val'):
        (tmp_path / 'data' / folder / 'cat').mkdir(parents=True)
    options = parse(
        'pretrain', config, data_root=tmp_path / 'data', work_dir=tmp_path / 'work', eval_only=path
    )
    with pytest.raises(UserError, match='refused'):
        pretrain(options)
    assert not marker.exists()


@pytest.mark.parametrize(
    'facts',
    [
        dict(FACTS, act_cfg=dict(type='ReLU', inplace='yes')),
        dict(FACTS, act_cfg=dict(type='Conv2d')),
        dict(FACTS, act_cfg=dict(type='ReLU', negative_slope=0.1)),
        dict(FACTS, std=[0.0, 1.0, 1.0]),
        dict(FACTS, mean=[1e9] * 3),
        dict(FACTS, mean=[0.0] * 10**5),
        dict(FACTS, path='/etc/passwd'),
        [],
        3,
    ],
    ids=str,
)
def test_other_facts_are_refused(weights, facts: object) -> None:
    with pytest.raises(UserError, match='description of the images'):
        resolve_weight_source(str(weights({META_KEY: facts})))


def test_an_activation_of_the_list_is_taken(weights) -> None:
    facts = FACTS | dict(act_cfg=dict(type='LeakyReLU', negative_slope=0.1))
    source = resolve_weight_source(str(weights({META_KEY: facts})))
    assert source.act_cfg == facts['act_cfg']
    assert source.std == (255.0,) * 3
