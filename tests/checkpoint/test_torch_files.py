"""The reader of torch files: bombs and tricks are refused before they cost anything."""

import io
import os
import pickle
import time
import zipfile
from pathlib import Path

import pytest
import torch

from lighthead.checkpoint.checkpoint_files import load_checkpoint_file
from lighthead.errors import UserError
from lighthead.weights.files import read_weight_file
from lighthead.weights.torch_files import PickledObjectsError, read_torch_file

ROOT = Path(__file__).resolve().parents[2]


class Calls:
    """Pickles as a call of a function that torch allows."""

    def __init__(self, function: object, *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple:
        return self.call


def content(**extra: object) -> dict:
    return dict(state_dict=dict(w=torch.ones(3)), meta=dict(epoch=1), **extra)


@pytest.mark.parametrize(
    'value',
    [
        content(x=b'abc', size=torch.Size([1, 2]), dtype=torch.bfloat16, none=None),
        content(parameter=torch.nn.Parameter(torch.ones(2)), view=torch.arange(9.0)[::2]),
        content(odd=[torch.zeros(0), torch.tensor(True), torch.ones(2, dtype=torch.complex64)]),
    ],
)
@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'legacy'])
def test_plain_data_comes_back(value: dict, zipped: bool, tmp_path: Path) -> None:
    torch.save(value, tmp_path / 'a.pth', _use_new_zipfile_serialization=zipped)
    assert read_torch_file(tmp_path / 'a.pth').keys() == value.keys()
    quick = read_torch_file(tmp_path / 'a.pth', quick=True)
    assert torch.equal(quick['state_dict']['w'], torch.ones(3))


@pytest.mark.parametrize(
    'call',
    [
        Calls(bytearray, 10**12),
        Calls(torch.Tensor, 10**6, 10**6),
        Calls(os.system, 'true'),
        Calls(set, [1]),
    ],
    ids=['bytearray', 'Tensor', 'system', 'set'],
)
@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'legacy'])
def test_no_function_is_called(call: Calls, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / 'a.pth'
    torch.save(content(x=call), path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(PickledObjectsError):
        read_torch_file(path)
    with pytest.raises(UserError, match='can run code'):
        load_checkpoint_file(path)
    with pytest.raises(UserError, match='would run code'):
        read_weight_file(path)


def test_other_pickles(tmp_path: Path) -> None:
    (tmp_path / 'a.pth').write_bytes(pickle.dumps(Calls(os.system, 'true'), protocol=4))
    with pytest.raises(PickledObjectsError):
        read_torch_file(tmp_path / 'a.pth')


@pytest.mark.parametrize(
    'tensor',
    [torch.zeros(1).expand(10**6, 10**6), torch.eye(3).to_sparse(), torch.zeros(3, device='meta')],
    ids=['expanded', 'sparse', 'meta'],
)
def test_tensors_without_values(tensor: torch.Tensor, tmp_path: Path) -> None:
    torch.save(content(deep=[dict(x=tensor)]), tmp_path / 'a.pth')
    with pytest.raises(UserError, match=r'a\.pth'):
        load_checkpoint_file(tmp_path / 'a.pth')
    with pytest.raises(UserError, match=r'a\.pth'):
        read_weight_file(tmp_path / 'a.pth')


def rewritten(path: Path, compression: int = zipfile.ZIP_STORED, **changes: bytes) -> Path:
    """The archive with other or more entries."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(files)).split('/')[0]
    files |= {f'{root}/{name}': data for name, data in changes.items()}
    target = path.with_name('rewritten.pth')
    with zipfile.ZipFile(target, 'w', compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    torch.save(content(), tmp_path / 'a.pth')
    bomb = rewritten(tmp_path / 'a.pth', zipfile.ZIP_DEFLATED, big=bytes(3 * 10**8))
    assert bomb.stat().st_size < 10**6
    start = time.process_time()
    with pytest.raises(UserError, match='compressed archive'):
        load_checkpoint_file(bomb)
    assert time.process_time() - start < 1


def test_an_archive_that_promises_more_than_it_holds(tmp_path: Path) -> None:
    torch.save(content(), tmp_path / 'a.pth')
    data = bytearray((tmp_path / 'a.pth').read_bytes())
    entry = data.rindex(b'PK\x01\x02')
    data[entry + 20 : entry + 28] = (2**31).to_bytes(4, 'little') * 2
    (tmp_path / 'b.pth').write_bytes(bytes(data))
    with pytest.raises(UserError, match=r'b\.pth is damaged'):
        load_checkpoint_file(tmp_path / 'b.pth')


def test_a_storage_that_is_smaller_than_its_tensor(tmp_path: Path) -> None:
    torch.save(content(), tmp_path / 'a.pth')
    changed = rewritten(tmp_path / 'a.pth', **{'data/0': b'\x00'})
    with pytest.raises(UserError, match='is damaged'):
        load_checkpoint_file(changed)


def test_a_circle_ends(tmp_path: Path) -> None:
    circle = content()
    circle['state_dict'] = circle['meta']['state_dict'] = circle
    circle['list'] = [circle]
    torch.save(circle, tmp_path / 'a.pth')
    with pytest.raises(UserError, match='no weights'):
        read_weight_file(tmp_path / 'a.pth')
    assert load_checkpoint_file(tmp_path / 'a.pth')['meta']['epoch'] == 1


def test_nothing_else_is_taken_for_a_file(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(content(), buffer)
    for number, data in enumerate([b'', b'PK', b'\x80', b'text', buffer.getvalue()[:-30]]):
        path = tmp_path / f'{number}.pth'
        path.write_bytes(data)
        with pytest.raises(UserError, match=path.name):
            load_checkpoint_file(path)
