"""Models of the Hugging Face Hub, against a stand-in for its server and in its offline mode."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lighthead.checkpoint.safetensors_files import load_safetensors
from lighthead.errors import UserError
from lighthead.zoo import hub


@pytest.fixture
def library(monkeypatch, tmp_path):
    """A stand-in for huggingface_hub that keeps repositories as folders."""

    def hf_hub_download(repository, file, revision=None):
        path = tmp_path / repository / file
        if not path.is_file() or revision == 'missing':
            raise FileNotFoundError(f'no {file} in {repository} at {revision}')
        return str(path)

    class HfApi:
        def __init__(self, token=None) -> None:
            self.token = token

        def create_repo(self, repository, private, exist_ok) -> None:
            (tmp_path / repository).mkdir(parents=True, exist_ok=exist_ok)

        def upload_folder(self, repo_id, folder_path) -> None:
            if self.token == 'wrong':
                raise PermissionError('401 Unauthorized')
            for path in sorted(Path(folder_path).iterdir()):
                (tmp_path / repo_id / path.name).write_bytes(path.read_bytes())

    stand_in = SimpleNamespace(hf_hub_download=hf_hub_download, HfApi=HfApi)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', stand_in)
    return tmp_path


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    weight = torch.linspace(-1, 1, 12).view(3, 4)
    torch.save(dict(meta=dict(classes=['person']), state_dict=dict(weight=weight)), path)
    return path


def test_a_pushed_model_comes_back(library, checkpoint) -> None:
    name = hub.push_to_hub(checkpoint, 'me/people')
    assert name == 'hf://me/people'
    content = load_safetensors(hub.from_hub(name))
    assert content['meta'] == dict(classes=['person'])
    expected = torch.linspace(-1, 1, 12).view(3, 4)
    torch.testing.assert_close(content['state_dict']['weight'], expected, atol=1e-3, rtol=0)
    assert 'hf://me/people' in (library / 'me/people/README.md').read_text()


@pytest.mark.parametrize('name', ['hf://me/nothing', 'hf://me/people@missing'])
def test_what_is_not_there_is_reported(library, checkpoint, name) -> None:
    hub.push_to_hub(checkpoint, 'me/people')
    with pytest.raises(UserError, match='could not be taken'):
        hub.from_hub(name)


def test_a_refused_upload_is_reported(library, checkpoint) -> None:
    with pytest.raises(UserError, match=r'upload failed.*401'):
        hub.push_to_hub(checkpoint, 'me/people', token='wrong')


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(UserError, match=r'lighthead\[hub\]'):
        hub.from_hub('hf://me/people')


def test_the_real_library_offline(tmp_path) -> None:
    """A process of its own, because huggingface_hub reads its environment once."""
    pytest.importorskip('huggingface_hub', reason='the extra hub is not installed')
    code = (
        'from lighthead.zoo.hub import from_hub\n'
        'from lighthead.errors import UserError\n'
        'try:\n    from_hub("hf://me/people")\n'
        'except UserError as error:\n    print(error)\n'
    )
    environment = os.environ | dict(HF_HUB_OFFLINE='1', HF_HOME=str(tmp_path))
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert 'hf://me/people: model.safetensors could not be taken' in done.stdout, done.stderr
