"""From the input of a job to its shards, the units that are done as a whole or not at all.

A tar file of WebDataset is a shard; of a Parquet file, so many row groups as make up
``shard_size`` rows; of a folder, a glob or a list, ``shard_size`` images.
"""

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lighthead.errors import UserError
from lighthead.files import printable
from lighthead.inference.conversions import import_extra
from lighthead.inference.inputs import IMAGE_SUFFIXES, expand_inputs
from lighthead.inference.jobs.names import UniqueNames
from lighthead.inference.read_ahead import windows

LISTS, TABLES, TARS = ('.txt', '.lst'), ('.parquet',), ('.tar', '.tgz', '.tar.gz')


@dataclass(frozen=True)
class Shard:
    """A unit of work.

    Attributes:
        name: Of its output file, without suffix.
        kind: ``'paths'``, ``'table'`` or ``'tar'``.
        sources: The images, or the one file that holds them.
        row_groups: Of a table, the first one and the one after the last.
        column: Of a table, the column of paths or images; None: chosen by its name.
        rows: How many images; None where only reading says so.
        fingerprint: Changes with the names of its images; of a file, with its size and time.
    """

    name: str
    kind: str
    sources: tuple[str, ...]
    row_groups: tuple[int, int] | None = None
    column: str | None = None
    rows: int | None = None
    fingerprint: str = ''


def plan_shards(argument: str, shard_size: int, column: str | None = None) -> list[Shard]:
    """The shards of an input, always the same for the same input.

    Args:
        argument: A folder, a glob, a list of paths (.txt), a Parquet table, or tar files.
        shard_size: Images per shard.
        column: Of a Parquet table.

    Raises:
        UserError: nothing is there, or a table cannot be read.
    """
    files = _container_files(argument)
    if files:
        return list(_of_containers(files, shard_size, column))
    lists = Path(argument).suffix.lower() in LISTS and Path(argument).is_file()
    paths = _listed(Path(argument)) if lists else _images(argument)
    return [
        Shard(f'part-{number:06d}', 'paths', tuple(group), None, None, len(group), _digest(*group))
        for number, group in enumerate(windows(paths, shard_size))
    ]


def _container_files(argument: str) -> list[Path]:
    """The tables and tar files that the input names."""
    if os.path.isdir(argument):
        names = [entry.path for entry in os.scandir(argument)]
    elif os.path.lexists(argument):
        names = [argument]
    else:
        names = glob.glob(argument, recursive=True)
    return sorted(Path(name) for name in names if name.lower().endswith(TABLES + TARS))


def _images(argument: str) -> list[str]:
    paths = expand_inputs([argument]).paths
    images = [str(path) for path in paths if Path(path).suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise UserError(f'{printable(argument)} holds no image: batch takes images alone.')
    return images


def _listed(path: Path) -> list[str]:
    """The lines of a list of paths."""
    try:
        lines = [os.fsdecode(line) for line in path.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise UserError(f'{printable(path)} cannot be read ({error.strerror}).') from error
    if not lines:
        raise UserError(f'{printable(path)} is empty: it must hold a path per line.')
    return lines


def _of_containers(files: Sequence[Path], size: int, column: str | None) -> Iterator[Shard]:
    names = UniqueNames()
    for path in files:
        source, is_table = (os.path.abspath(path),), path.suffix.lower() in TABLES
        stem = Path(names.take(path.name.split('.')[0], '.parquet')).stem
        info = path.stat()
        file = (path.name, str(info.st_size), str(info.st_mtime_ns))
        if not is_table:
            yield Shard(stem, 'tar', source, fingerprint=_digest(*file))
            continue
        for number, (first, end, rows) in enumerate(_row_groups(path, size)):
            mark = _digest(*file, str(first), str(end))
            yield Shard(f'{stem}-{number:06d}', 'table', source, (first, end), column, rows, mark)


def _row_groups(path: Path, size: int) -> Iterator[tuple[int, int, int]]:
    """Runs of row groups of about ``size`` rows: the first one, the one after the last, rows."""
    parquet, arrow = import_extra('pyarrow.parquet', 'results'), import_extra('pyarrow', 'results')
    try:
        metadata = parquet.read_metadata(path)
    except (arrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f'{printable(path)} cannot be read as Parquet ({reason}).') from error
    first = rows = 0
    for index in range(metadata.num_row_groups):
        more = metadata.row_group(index).num_rows
        if rows and rows + more > size:
            yield first, index, rows
            first, rows = index, 0
        rows += more
    if rows:
        yield first, metadata.num_row_groups, rows


def _digest(*texts: str) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(os.fsencode(text) + b'\0')
    return digest.hexdigest()
