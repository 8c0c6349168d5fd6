"""The one reader of files that ``torch.save`` wrote: nothing runs, nothing large is allocated.

``torch.load(weights_only=True)`` runs no code, but it would unpack an archive of any size, call
``bytearray`` or ``torch.Tensor`` with any number, and make a tensor of 10^12 elements of one
stored value. So the archive's directory and the names in the pickle are looked at first, and the
tensors afterwards. The limits stand in ``docs/reliability.md``.
"""

import pickletools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

MAX_ENTRIES = 100_000
"""Files in an archive."""
MAX_PICKLE = 64 * 2**20
"""Bytes of the pickle that describes the tensors; their values are stored apart."""
LEGACY_PICKLES = 5
"""How many pickles a file of the old format begins with."""
ZIP_START, PICKLE_START = b'PK\x03\x04', b'\x80'
STORAGES = (
    *('Double', 'Float', 'Half', 'BFloat16', 'ComplexFloat', 'ComplexDouble'),
    *('Long', 'Int', 'Short', 'Char', 'Byte', 'Bool'),
)
DTYPES = (
    *('float64', 'float32', 'float16', 'bfloat16', 'complex64', 'complex128'),
    *('int64', 'int32', 'int16', 'int8', 'uint8', 'bool'),
)
ALLOWED = {
    'collections OrderedDict',
    '_codecs encode',
    'torch Size',
    'torch._utils _rebuild_tensor',
    'torch._utils _rebuild_tensor_v2',
    'torch._utils _rebuild_parameter',
    *(f'torch {name}Storage' for name in STORAGES),
    *(f'torch {name}' for name in DTYPES),
}
"""All that a pickle of plain data and tensors names."""


class PickledObjectsError(ValueError):
    """The file holds more than plain data and tensors: loading it would run code."""


def read_torch_file(path: Path, map_location: Any = 'cpu', quick: bool = False) -> Any:
    """What a file of ``torch.save`` holds: tensors and plain data.

    Args:
        quick: Whether to leave the tensors on the disk and their checksums unread, for a look
            at what stands next to them.

    Raises:
        PickledObjectsError: it holds other objects.
        ValueError: it is damaged, compressed, or not of this kind.
        OSError: it cannot be read.
    """
    stored = None
    with open(path, 'rb') as file:
        start = file.read(4)
        file.seek(0)
        if start == ZIP_START:
            stored = _check_archive(file, sums=not quick)
        elif start[:1] == PICKLE_START:
            for _ in range(LEGACY_PICKLES):
                _check_names(file)
        else:
            raise ValueError('it is no file of torch.save')
    try:
        mapped = quick and start == ZIP_START
        content = torch.load(path, map_location=map_location, weights_only=True, mmap=mapped)
    except Exception as error:  # whatever is wrong with it, it is the file's fault
        raise ValueError(_first_line(error)) from error
    _check_tensors(content, stored)
    return content


def _check_archive(file: BinaryIO, sums: bool) -> int:
    """The directory before the content: all that it promises must be in the file, as it is.

    Returns:
        Bytes that are stored of tensors.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            size = file.seek(0, 2)
            if len(entries) > MAX_ENTRIES:
                raise ValueError(f'it is an archive of more than {MAX_ENTRIES} files')
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ValueError('it is a compressed archive, which torch does not write')
            if sum(max(entry.file_size, entry.compress_size) for entry in entries) > size:
                raise ValueError('its archive promises more than the file holds')
            pickles = [entry for entry in entries if entry.filename.endswith('data.pkl')]
            if len(pickles) != 1 or pickles[0].file_size > MAX_PICKLE:
                raise ValueError(f'it has no data.pkl of at most {MAX_PICKLE // 2**20} MiB')
            broken = archive.testzip() if sums else None  # torch.load does not compare them
            if broken is not None:
                raise ValueError(f'wrong checksum of {broken[:100]!r}')
            with archive.open(pickles[0]) as content:
                _check_names(content)
            return sum(entry.file_size for entry in entries if '/data/' in entry.filename)
    except PickledObjectsError:
        raise
    except Exception as error:  # zipfile fails in many ways
        raise ValueError(_first_line(error)) from error


def _check_names(pickled: Any) -> None:
    """Read one pickle's names, without building anything."""
    try:
        for operation, argument, position in pickletools.genops(pickled):
            if operation.name in ('STACK_GLOBAL', 'INST', 'EXT1', 'EXT2', 'EXT4'):
                raise PickledObjectsError('it names what it holds in another way than torch')
            if operation.name == 'GLOBAL' and argument not in ALLOWED:
                raise PickledObjectsError(f'it holds a {str(argument)[:100]}')
            if position is not None and position > MAX_PICKLE:
                raise ValueError(f'its pickle has more than {MAX_PICKLE // 2**20} MiB')
    except PickledObjectsError:
        raise
    except Exception as error:  # pickletools too
        raise ValueError(_first_line(error)) from error


def _check_tensors(content: Any, stored: int | None) -> None:
    """Every tensor must be as large as what is stored of it, and of the usual kind.

    ``stored`` is the bytes of all, where they are known: torch 2.6 believes the pickle.
    """
    waiting, seen = [content], set()
    storages: dict[int, int] = {}
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            _check_tensor(value)
            storage = value.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        elif isinstance(value, Mapping | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, Mapping) else value)
    if stored is not None and sum(storages.values()) > stored:
        raise ValueError('it describes larger tensors than it holds')


def _check_tensor(tensor: Tensor) -> None:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == 'meta':
        raise ValueError('it holds a tensor that is sparse, quantised or without values')
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ValueError('it holds a tensor that is larger than what is stored of it')


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
