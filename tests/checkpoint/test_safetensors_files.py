"""Detectors in safetensors files."""

import pytest
import safetensors.torch
import torch

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.checkpoint.safetensors_files import load_safetensors, save_safetensors
from lighthead.errors import UserError


@pytest.fixture
def checkpoint() -> dict:
    weights = dict(weight=torch.linspace(-1, 1, 7), count=torch.tensor(3))
    return dict(meta=dict(classes=['person'], note='é'), state_dict=weights)


@pytest.mark.parametrize('half', [True, False])
def test_comes_back(tmp_path, checkpoint, half) -> None:
    path = tmp_path / 'model.safetensors'
    save_safetensors(checkpoint, path, half)
    content = load_checkpoint_file(path)
    assert content['meta'] == checkpoint['meta']
    assert content['state_dict']['count'] == 3
    weight, expected = content['state_dict']['weight'], checkpoint['state_dict']['weight']
    assert weight.dtype == torch.float32
    torch.testing.assert_close(weight, expected, atol=5e-4 if half else 0, rtol=0)


def test_what_fp16_cannot_hold_is_refused_and_an_old_file_stays(tmp_path, checkpoint) -> None:
    path = tmp_path / 'model.safetensors'
    save_safetensors(checkpoint, path)
    before = path.read_bytes()
    checkpoint['state_dict']['weight'][0] = 1e6
    with pytest.raises(UserError, match='weight has values that fp16 cannot hold'):
        save_safetensors(checkpoint, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize('meta', [None, {'lighthead': '['}, {'lighthead': '[1]'}])
def test_weights_without_meta_data_are_refused(tmp_path, meta) -> None:
    path = tmp_path / 'model.safetensors'
    safetensors.torch.save_file(dict(weight=torch.ones(2)), path, meta)
    with pytest.raises(UserError, match='without meta data'):
        load_safetensors(path)


@pytest.mark.parametrize('content', [b'', b'{"a"', b'\xff' * 100])
def test_damaged_files_are_reported(tmp_path, content) -> None:
    path = tmp_path / 'model.safetensors'
    path.write_bytes(content)
    with pytest.raises(UserError, match='damaged'):
        load_checkpoint_file(path)
