"""The images of a shard, one after the other, in their order."""

import hashlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lighthead.errors import UserError
from lighthead.files import LARGEST_INPUT, printable, read_regular_file
from lighthead.inference.batch.shards import Shard
from lighthead.inference.conversions import import_extra
from lighthead.inference.images import ImageError
from lighthead.inference.inputs import IMAGE_SUFFIXES
from lighthead.inference.large_images import SUFFIXES
from lighthead.inference.loading import FailedImage, LoadedImage, load_image
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.tiles import Tiling

COLUMNS = ('image', 'bytes', 'jpg', 'jpeg', 'png', 'path', 'file_name')
"""Where no column is named, the first of these that a table has."""
TABLE_ROWS = 64
"""Rows of a table that are held in memory."""


class Row(NamedTuple):
    """An image of the input: its name in the results, and its path, its content, or an error."""

    path: str
    source: str | bytes
    error: str | None = None


class PreparedRow(NamedTuple):
    """The same, loaded, with what the network needs alone; ``digest`` is the SHA-256 of its
    content."""

    path: str
    digest: bytes
    loaded: LoadedImage | FailedImage


def read_rows(shard: Shard) -> Iterator[Row]:
    """The images of a shard.

    Raises:
        UserError: the shard's file is damaged.
    """
    if shard.kind == 'paths':
        return (Row(printable(path), path) for path in shard.sources)
    return _table_rows(shard) if shard.kind == 'table' else _tar_rows(shard)


def prepare_row(row: Row, preprocess: Preprocess, tiling: Tiling | None) -> PreparedRow:
    """Read, hash, decode and resize; what fails is an error within."""
    content, digest, error = row.source, b'', row.error
    if isinstance(content, str):
        content, digest, error = _file_content(content, windowed=tiling is not None)
    elif error is None:
        digest = hashlib.sha256(content).digest()
    if error is not None:
        return PreparedRow(row.path, digest, FailedImage(content, ImageError(error)))
    loaded = load_image(content, preprocess, tiling)._replace(source=b'')
    if isinstance(loaded, LoadedImage) and loaded.resized is not None:
        loaded = loaded._replace(image=None)
    return PreparedRow(row.path, digest, loaded)


def _file_content(path: str, windowed: bool) -> tuple[str | bytes, bytes, str | None]:
    """A file's content, or its path where it may be read by windows; its hash; an error."""
    try:
        if windowed and path.lower().endswith(SUFFIXES):
            with open(path, 'rb') as file:
                return path, hashlib.file_digest(file, 'sha256').digest(), None
        content = read_regular_file(path)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        return b'', b'', f'cannot be read ({getattr(error, "strerror", None) or error}).'
    return content, hashlib.sha256(content).digest(), None


def _tar_rows(shard: Shard) -> Iterator[Row]:
    path = Path(shard.sources[0])
    try:
        with tarfile.open(path, 'r|*') as archive:
            for member in archive:
                suffix = os.path.splitext(member.name)[1].lower()
                if member.isreg() and suffix in IMAGE_SUFFIXES:
                    name = f'{printable(path.name)}/{printable(member.name)}'
                    if member.size > LARGEST_INPUT:
                        yield Row(name, b'', f'is larger than {LARGEST_INPUT // 2**20} MiB.')
                    else:
                        file = archive.extractfile(member)
                        yield Row(name, file.read() if file else b'')
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f'{printable(path)} is damaged or cut off ({error}).') from error


def _table_rows(shard: Shard) -> Iterator[Row]:
    parquet, arrow = import_extra('pyarrow.parquet', 'results'), import_extra('pyarrow', 'results')
    path = Path(shard.sources[0])
    try:
        with parquet.ParquetFile(path) as table:
            column = table_column(table.schema_arrow.names, shard.column, path)
            columns = [column, *({'path'} & set(table.schema_arrow.names) - {column})]
            first, end = shard.row_groups or (0, table.metadata.num_row_groups)
            groups = range(first, end)
            before = sum(table.metadata.row_group(i).num_rows for i in range(groups.start))
            for batch in table.iter_batches(TABLE_ROWS, row_groups=groups, columns=columns):
                for values in batch.to_pylist():
                    yield _table_row(values, column, f'{printable(path.name)}#{before}')
                    before += 1
    except (arrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f'{printable(path)} is damaged ({reason}).') from error


def table_column(names: list[str], wanted: str | None, path: Path) -> str:
    """The column of a table that holds its images or their paths.

    Raises:
        UserError: there is none.
    """
    for name in COLUMNS if wanted is None else (wanted,):
        if name in names:
            return name
    raise UserError(
        f'{printable(path)} has no column {wanted or " or ".join(COLUMNS)}: name one of '
        f'{", ".join(names)} with --column.'
    )


def _table_row(values: dict[str, Any], column: str, fallback: str) -> Row:
    """A column holds paths, files' contents, or both, as in Hugging Face's data sets."""
    value, name = values[column], values.get('path')
    if isinstance(value, dict):
        name = name or value.get('path')
        value = value.get('bytes') or value.get('path')
    if isinstance(value, str):
        return Row(name or value, value)
    if isinstance(value, bytes):
        return Row(name or fallback, value)
    reason = 'is empty' if value is None else f'holds {type(value).__name__}, no path and no image'
    return Row(name or fallback, b'', f'the column {column} {reason}.')
