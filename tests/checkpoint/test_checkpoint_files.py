"""Checkpoint files: plain data only, all or nothing, and never code."""

import os
import pickle
import subprocess
import sys
import zipfile
from collections import Counter, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch

from lighthead.checkpoint import checkpoint_files as files
from lighthead.checkpoint.checkpoint_files import (
    find_latest_checkpoint,
    load_checkpoint_file,
    save_checkpoint_file,
)
from lighthead.checkpoint.convert import convert_checkpoint
from lighthead.checkpoint.plain_data import tensor_bytes, to_plain
from lighthead.errors import UserError


class Hostile:
    """Writes a file as soon as it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


def content(iteration: int = 1, time: str = '2024-01-01') -> dict:
    meta = {'iter': iteration, 'epoch': 0, 'time': time}
    return {'meta': meta, 'state_dict': {'w': torch.arange(1000.0)}}


Point = namedtuple('Point', 'x y')


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (np.float32(1.5), 1.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        ({'a': (1, [2.0, None, 'x'])}, {'a': (1, [2.0, None, 'x'])}),
        (Counter('aab'), {'a': 2, 'b': 1}),
        (Point(1, 2), (1, 2)),
        ({np.int64(4): 1}, {4: 1}),
    ],
)
def test_to_plain_converts(value: object, expected: object) -> None:
    plain = to_plain(value)
    assert plain == expected
    assert type(plain) is type(expected)


def test_to_plain_arrays_parameters_and_views() -> None:
    whole = torch.arange(100.0)
    plain = to_plain(
        {'array': np.arange(3), 'p': torch.nn.Parameter(torch.ones(2)), 'view': whole[:2]}
    )
    assert torch.equal(plain['array'], torch.arange(3))
    assert type(plain['p']) is torch.Tensor
    assert not plain['p'].requires_grad
    assert plain['view'].untyped_storage().nbytes() == 8
    assert tensor_bytes(plain) == 24 + 8 + 8


@pytest.mark.parametrize('value', [object(), print, {1, 2}, Path('x'), np.array(['a'], object)])
def test_to_plain_names_the_path_of_what_it_refuses(value: object) -> None:
    with pytest.raises(UserError, match=r'checkpoint\.meta\.list\[1\] is a'):
        to_plain({'meta': {'list': [0, value]}})


def test_state_dict_keeps_its_versions(tmp_path: Path) -> None:
    state = torch.nn.BatchNorm2d(3).state_dict()
    save_checkpoint_file({'meta': {}, 'state_dict': state}, tmp_path / 'a.pth')
    assert load_checkpoint_file(tmp_path / 'a.pth')['state_dict']._metadata == state._metadata


def test_what_is_saved_loads_with_weights_only(tmp_path: Path) -> None:
    save_checkpoint_file(content(), tmp_path / 'a.pth')
    loaded = torch.load(tmp_path / 'a.pth', weights_only=True)
    assert torch.equal(loaded['state_dict']['w'], torch.arange(1000.0))
    assert os.listdir(tmp_path) == ['a.pth']


@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'legacy'])
def test_hostile_pickle_is_refused_and_does_not_run(tmp_path: Path, zipped: bool) -> None:
    path, marker = tmp_path / 'evil.pth', tmp_path / 'ran'
    hostile = {**content(), 'evil': Hostile(marker)}
    torch.save(hostile, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r'can run code .* --trust-checkpoint'):
        load_checkpoint_file(path)
    assert find_latest_checkpoint(tmp_path) is None
    assert not marker.exists()


def test_plain_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / 'epoch_1.pth', tmp_path / 'ran'
    path.write_bytes(pickle.dumps(Hostile(marker)))
    with pytest.raises(UserError):
        load_checkpoint_file(path)
    assert find_latest_checkpoint(tmp_path) is None
    assert not marker.exists()


def test_trusted_foreign_checkpoint_loads_and_converts(tmp_path: Path) -> None:
    foreign = {**content(), 'message_hub': Counter('a')}
    foreign['meta'] |= {'hub': object(), 'classes': ('a', 'b')}
    torch.save(foreign, tmp_path / 'foreign.pth')
    assert load_checkpoint_file(tmp_path / 'foreign.pth', trust=True)['message_hub'] == {'a': 1}
    with pytest.raises(UserError, match='trust'):
        convert_checkpoint(tmp_path / 'foreign.pth', tmp_path / 'plain.pth', trust=False)
    (tmp_path / 'link.pth').symlink_to('foreign.pth')
    with pytest.raises(UserError, match='is the file to convert'):
        convert_checkpoint(tmp_path / 'foreign.pth', tmp_path / 'link.pth', trust=True)
    dropped = convert_checkpoint(tmp_path / 'foreign.pth', tmp_path / 'plain.pth', trust=True)
    assert dropped == ['hub']
    assert load_checkpoint_file(tmp_path / 'plain.pth')['meta']['classes'] == ('a', 'b')


@pytest.mark.slow
def test_convert_as_a_command(tmp_path: Path) -> None:
    torch.save({**content(), 'extra': np.arange(3)}, tmp_path / 'foreign.pth')
    command = [sys.executable, '-m', 'lighthead', 'convert', 'foreign.pth', 'plain.pth']
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.strip().splitlines()[-1].startswith('error: foreign.pth holds pickled')
    subprocess.run([*command, '--trust-checkpoint'], cwd=tmp_path, check=True)
    assert load_checkpoint_file(tmp_path / 'plain.pth')['meta']['iter'] == 1


def _truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


@pytest.mark.parametrize('damage', [_truncate, _flip, lambda _: b'', lambda _: b'hello, world'])
def test_damaged_file(tmp_path: Path, damage) -> None:
    path = tmp_path / 'epoch_2.pth'
    save_checkpoint_file(content(), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match='is damaged or not a checkpoint'):
        load_checkpoint_file(path)
    save_checkpoint_file(content(), tmp_path / 'epoch_1.pth')
    assert find_latest_checkpoint(tmp_path) == tmp_path / 'epoch_1.pth'


@pytest.mark.parametrize(
    ('saved', 'sentence'),
    [
        ({'conv.weight': torch.ones(1)}, 'it has no state_dict'),
        ({'state_dict': {'w': torch.ones(1)}}, 'weights without meta data'),
        ([1, 2], 'it has no state_dict'),
    ],
)
def test_wrong_kind_of_file(tmp_path: Path, saved: object, sentence: str) -> None:
    torch.save(saved, tmp_path / 'a.pth')
    with pytest.raises(UserError, match=sentence):
        load_checkpoint_file(tmp_path / 'a.pth')


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'none\.pth does not exist'):
        load_checkpoint_file(tmp_path / 'none.pth')
    with pytest.raises(UserError, match='is a folder'):
        load_checkpoint_file(tmp_path)
    assert find_latest_checkpoint(tmp_path / 'nowhere') is None


def test_latest_goes_by_the_time_in_the_file(tmp_path: Path) -> None:
    save_checkpoint_file(content(40, '2024-01-03'), tmp_path / 'iter_40.pth')
    save_checkpoint_file(content(90, '2024-01-01'), tmp_path / 'epoch_9.pth')  # an older run's
    save_checkpoint_file(content(50, '2024-01-04'), tmp_path / 'best.pth')
    assert find_latest_checkpoint(tmp_path).name == 'iter_40.pth'


def test_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'epoch_1.pth'
    save_checkpoint_file(content(1), path)
    usage = type('Usage', (), {'free': 1000})()
    with monkeypatch.context() as patched:
        patched.setattr(files.shutil, 'disk_usage', lambda _: usage)
        with pytest.raises(UserError, match=r'only 0 MiB are free: .* is unchanged'):
            save_checkpoint_file(content(2), path)

    def fail(_: int) -> None:
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patched:
        patched.setattr(os, 'fsync', fail)
        with pytest.raises(UserError, match='No space left on device'):
            save_checkpoint_file(content(2), path)
    assert load_checkpoint_file(path)['meta']['iter'] == 1
    assert os.listdir(tmp_path) == ['epoch_1.pth']


def test_interruption_before_the_rename_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'epoch_1.pth'
    save_checkpoint_file(content(1), path)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'replace', interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint_file(content(2), path)
    assert load_checkpoint_file(path)['meta']['iter'] == 1


def test_our_files_carry_checksums(tmp_path: Path) -> None:
    save_checkpoint_file(content(), tmp_path / 'a.pth')
    with zipfile.ZipFile(tmp_path / 'a.pth') as archive:
        assert archive.testzip() is None
