"""COCO 2017 from its official server, complete and verified (https://cocodataset.org/#download)."""

import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lighthead.download import RemoteFile, download_file
from lighthead.errors import UserError

SERVER = 'http://images.cocodataset.org'


@dataclass(frozen=True)
class Archive:
    """A zip file of COCO, what is taken out of it, and its marker when that is done."""

    path: str
    size: int
    checksum: str
    members: tuple[str, ...]

    def remote(self, server: str) -> RemoteFile:
        """Where it is downloaded from."""
        return RemoteFile(f'{server}/{self.path}', self.size, self.checksum)


ARCHIVES = {
    # sizes and MD5 sums of the official files
    'annotations': Archive(
        'annotations/annotations_trainval2017.zip',
        252_907_541,
        'md5:f4bbac642086de4f52a3fdda2de5fa2c',
        ('annotations/instances_train2017.json', 'annotations/instances_val2017.json'),
    ),
    'val': Archive(
        'zips/val2017.zip',
        815_585_330,
        'md5:442b8da7639aecaf257c1dceb8ba8c80',
        ('val2017/',),
    ),
    'train': Archive(
        'zips/train2017.zip',
        19_336_861_798,
        'md5:cced6f7f71b7629ddf16f17bbcfab6b2',
        ('train2017/',),
    ),
}
MAX_RATIO = 50
"""Of a member's size to its bytes in the archive; more is no photograph and no JSON."""

Report = Callable[[str, int, int], None]


def download_coco(
    root: Path, names: list[str], report: Report, server: str = SERVER, keep_zip: bool = False
) -> None:
    """Download and unpack parts of COCO into ``root``; what is there already is left alone.

    Args:
        names: Keys of :data:`ARCHIVES`; they are downloaded at the same time.
        report: Called with (name, bytes that have arrived, bytes in all).
        keep_zip: Whether the archives stay after they were unpacked.

    Raises:
        UserError: something could not be downloaded or unpacked; the same command goes on.
    """
    todo = [name for name in names if not _marker(root, name).is_file()]
    with ThreadPoolExecutor(max(1, len(todo))) as pool:
        futures = [pool.submit(_fetch, root, name, report, server, keep_zip) for name in todo]
    for future in futures:
        future.result()


def _marker(root: Path, name: str) -> Path:
    return root / f'.{name}.complete'


_unpacking = threading.Lock()


def _fetch(root: Path, name: str, report: Report, server: str, keep_zip: bool) -> None:
    archive = ARCHIVES[name]
    path = root / PurePosixPath(archive.path).name
    remote = archive.remote(server)
    download_file(remote, path, lambda arrived: report(name, arrived, archive.size))
    with _unpacking:  # one at a time: the disk is the limit
        unpack(path, root, archive.members)
    _marker(root, name).touch()
    if not keep_zip:
        path.unlink()


def unpack(path: Path, root: Path, members: tuple[str, ...]) -> None:
    """Unpack the members of a zip file whose names start with one of ``members``.

    Raises:
        UserError: it is damaged, or a member would be written outside ``root``, is a link, or
            is larger than it can be.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            chosen = [m for m in archive.infolist() if m.filename.startswith(members)]
            for member in chosen:
                _check_member(member, path)
            if not chosen:
                raise UserError(f'{path} holds nothing of {", ".join(members)}.')
            for member in chosen:
                archive.extract(member, root)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise UserError(f'{path} is damaged ({error}): delete it and download it again.') from error
    except OSError as error:
        raise UserError(f'{path} cannot be unpacked ({error.strerror or error}).') from error


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    name = PurePosixPath(member.filename)
    link = (member.external_attr >> 16) & 0o170000 == 0o120000
    bomb = member.file_size > MAX_RATIO * max(member.compress_size, 1024)
    if name.is_absolute() or '..' in name.parts or '\\' in member.filename or link or bomb:
        raise UserError(
            f'{path} is refused: {member.filename!r} is no ordinary file of a data set.'
        )
