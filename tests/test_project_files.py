"""Files about the project name what there is."""

import re
import tomllib
from pathlib import Path

import yaml

from lighthead import cli

ROOT = Path(__file__).resolve().parents[1]


def test_the_models_of_the_index_have_a_config():
    models = yaml.safe_load((ROOT / 'metafile.yml').read_text())['Models']
    assert len(models) == 4
    for model in models:
        assert (ROOT / model['Config']).is_file()
        assert Path(model['Config']).stem == model['Name']


def test_contributing_names_files_that_exist():
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    paths = re.findall(r'`((?:lighthead|tests|configs)/[\w/.]+\.py)`', text)
    assert len(paths) >= 8
    for path in paths:
        assert (ROOT / path).is_file(), path


def test_the_wheel_has_the_command_and_its_extras():
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    assert project['scripts'] == {'lighthead': 'lighthead.cli:main'}
    assert {'lite', 'export', 'openvino', 'completion', 'dev'} <= set(
        project['optional-dependencies']
    )


def test_the_dockerfile_installs_the_pinned_versions():
    pins = dict(re.findall(r'^([\w-]+)==(\S+)$', (ROOT / 'constraints.txt').read_text(), re.M))
    text = (ROOT / 'Dockerfile').read_text()
    assert f'torch=={pins["torch"]} torchvision=={pins["torchvision"]}' in text
    assert f'opencv-python-headless=={pins["opencv-python"]}' in text


def test_pre_commit_has_the_pinned_ruff():
    pins = dict(re.findall(r'^([\w-]+)==(\S+)$', (ROOT / 'constraints.txt').read_text(), re.M))
    content = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())
    hooks = {hook['id']: hook for repo in content['repos'] for hook in repo['hooks']}
    for name in ('ruff', 'ruff-format'):
        assert hooks[name]['additional_dependencies'] == [f'ruff=={pins["ruff"]}']


def test_every_command_is_in_the_changes():
    text = (ROOT / 'CHANGELOG.md').read_text()
    assert all(f'`{name}`' in text for name in cli.COMMANDS)
