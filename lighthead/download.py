"""Downloads that go on where they were broken off, and whose size and checksum are verified.

A file grows under ``NAME.part`` next to its place and takes its name when all of it is there
and the checksum is right. A server that breaks off or stalls is asked again for the rest.
"""

import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from lighthead.errors import UserError
from lighthead.files import put_in_place

CHUNK = 1 << 18
TIMEOUT = 30.0
"""Seconds without a byte after which a server counts as stalled."""
TRIES = 5
"""In a row without any progress, after which a download is given up."""
SPARE_BYTES = 64 * 2**20
"""Left free on the disk."""
CONTENT_RANGE = re.compile(r'bytes (\d+)-\d+/(\d+)$')

Report = Callable[[int], None]


class DownloadError(UserError):
    """A file that could not be downloaded; what has arrived stays for the next try."""


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server.

    Attributes:
        url: Its http(s) address.
        size: Bytes, where they are known beforehand.
        checksum: ``'sha256:...'`` or ``'md5:...'`` in hexadecimal digits (the first ones
            suffice), where it is known.
    """

    url: str
    size: int | None = None
    checksum: str | None = None


def download_file(
    remote: RemoteFile, target: Path, report: Report | None = None, timeout: float = TIMEOUT
) -> Path:
    """Download ``remote`` to ``target``, unless it is there already.

    Args:
        report: Is called with the bytes that are on the disk, again and again.

    Raises:
        DownloadError: the server cannot be reached, or sends another file than expected.
        UserError: the disk is full or not writable.
    """
    if target.is_file() and (remote.size is None or target.stat().st_size == remote.size):
        return target
    part = target.with_name(f'{target.name}.part')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_space(remote, part)
        _receive_all(remote, part, report or (lambda size: None), timeout)
        _verify(remote, part)
        put_in_place(part, target)
    except DownloadError:
        raise
    except OSError as error:
        raise UserError(f'{target} cannot be written ({error.strerror or error}).') from error
    return target


def _check_space(remote: RemoteFile, part: Path) -> None:
    if remote.size is None:
        return
    needed = remote.size - (part.stat().st_size if part.is_file() else 0) + SPARE_BYTES
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise UserError(
            f'{part.parent} needs {needed / 2**30:.1f} GiB for {remote.url}, but only '
            f'{free / 2**30:.1f} GiB are free: make room, then run the command again.'
        )


def _receive_all(remote: RemoteFile, part: Path, report: Report, timeout: float) -> None:
    """Ask again for the rest until all is there, or nothing arrives any more."""
    failures = furthest = 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            if _receive(remote, part, before, report, timeout):
                return
            reason = 'the server broke off'
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            reason = _reason(error)
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                raise DownloadError(f'{remote.url} cannot be downloaded ({reason}).') from error
        after = part.stat().st_size if part.is_file() else 0
        failures = 0 if after > max(before, furthest) else failures + 1
        furthest = max(furthest, after)
        if failures >= TRIES:
            kept = f'; {after / 2**20:.1f} MiB are kept, the same command goes on' if after else ''
            raise DownloadError(f'{remote.url} cannot be downloaded ({reason}){kept}.')
        time.sleep(min(2**failures * 0.1, 5))


def _receive(remote: RemoteFile, part: Path, have: int, report: Report, timeout: float) -> bool:
    """Append what one answer brings; whether the file is complete now."""
    headers = {'User-Agent': 'lighthead', 'Accept-Encoding': 'identity'}
    if have:
        headers['Range'] = f'bytes={have}-'
    request = urllib.request.Request(remote.url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        if have == remote.size:
            return True
        part.unlink()  # longer than what the server has: another file
        return False
    with response:
        start, total = _position(response, have)
        _check_size(remote, total)
        with open(part, 'r+b' if start else 'wb') as file:
            file.truncate(start)
            file.seek(start)
            while chunk := response.read1(CHUNK):
                file.write(chunk)
                report(file.tell())
            size = file.tell()
            file.flush()
            os.fsync(file.fileno())
    return total is None or size == total


def _position(response: HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where the answer's bytes belong, and how many bytes the whole file has."""
    match = CONTENT_RANGE.match(response.headers.get('Content-Range') or '')
    if response.status == http.client.PARTIAL_CONTENT and match and int(match[1]) <= have:
        return int(match[1]), int(match[2])
    length = response.headers.get('Content-Length')
    return 0, int(length) if length and length.isdecimal() else None


def _check_size(remote: RemoteFile, total: int | None) -> None:
    if remote.size is not None and total is not None and total != remote.size:
        raise DownloadError(
            f'{remote.url} has {total} bytes instead of {remote.size}: this is another file.'
        )


def _verify(remote: RemoteFile, part: Path) -> None:
    size = part.stat().st_size
    problem = None
    if remote.size is not None and size != remote.size:
        problem = f'{size} bytes arrived instead of {remote.size}'
    elif remote.checksum is not None:
        algorithm, _, digits = remote.checksum.partition(':')
        with part.open('rb') as file:
            actual = hashlib.file_digest(file, algorithm).hexdigest()
        if not actual.startswith(digits.lower()):
            problem = f'its {algorithm} is {actual[: len(digits)]} instead of {digits}'
    if problem:
        part.unlink()
        raise DownloadError(
            f'{remote.url} is not the expected file ({problem}); it was deleted: try again, or '
            'get it elsewhere.'
        )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f'{error.code} {error.reason}'
    reason = getattr(error, 'reason', None) or error
    return str(reason) or type(error).__name__
