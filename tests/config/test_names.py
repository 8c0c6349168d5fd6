"""Configs are found by name and by path, wherever the command is called."""

from pathlib import Path

import pytest

from lighthead.config.names import config_folder, config_names, find_config
from lighthead.errors import UserError


def test_names_are_those_of_the_files_without_their_bases():
    names = config_names()
    assert {'lighthead_shufflev2star', 'table7/xception_40m', 'pretrain/shufflev2'} <= set(names)
    assert not any('_base_' in name for name in names)
    assert all((config_folder() / f'{name}.py').is_file() for name in names)


@pytest.mark.parametrize(
    'name',
    [
        'lighthead_shufflev2star',
        'lighthead_shufflev2star.py',
        'configs/lighthead_shufflev2star.py',
        str(config_folder() / 'lighthead_shufflev2star.py'),
    ],
)
def test_one_config_by_its_names(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name).resolve() == (config_folder() / 'lighthead_shufflev2star.py').resolve()


def test_a_file_of_the_user_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('lighthead_shufflev2star').write_text('')
    assert find_config('lighthead_shufflev2star') == Path('lighthead_shufflev2star')


@pytest.mark.parametrize(
    ('name', 'suggested'),
    [
        ('lighthead_shufflev2stra', 'lighthead_shufflev2star'),
        ('xception_40m', 'table7/xception_40m'),
        ('no/such.py', 'lighthead_shufflev2star'),
    ],
)
def test_unknown_names_get_similar_ones(name, suggested):
    with pytest.raises(UserError, match=f'There is no config file {name}.*{suggested}'):
        find_config(name)
