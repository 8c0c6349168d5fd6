"""From command-line inputs (files, folders, globs, cameras, addresses) to a list of sources."""

import glob
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lighthead.errors import UserError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

# fmt: off
IMAGE_SUFFIXES = frozenset((
    '.jpg', '.jpeg', '.jpe', '.png', '.webp', '.bmp', '.dib', '.tif', '.tiff', '.gif', '.ppm',
    '.pgm', '.pbm', '.jp2', '.avif', '.tga',
))
VIDEO_SUFFIXES = frozenset((
    '.mp4', '.m4v', '.avi', '.mov', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv', '.flv', '.ts',
))
# fmt: on


STREAM_SCHEMES = ('rtsp://', 'rtsps://', 'rtmp://', 'http://', 'https://', 'udp://', 'tcp://')
"""Beginnings of addresses that OpenCV opens as videos."""
STDIN = '-'
"""Standard input: a video, or JPEG or PNG files one after the other."""


class Inputs(NamedTuple):
    """What the arguments name.

    ``paths`` are in the order of the arguments, names within a folder or glob
    sorted, each file once; a camera or an address is a string. ``missing`` are
    arguments that match nothing.
    """

    paths: list[Path | str]
    missing: list[str]


def is_video(path: Path | str) -> bool:
    """Whether the suffix is a video's."""
    return not is_stream(path) and path.suffix.lower() in VIDEO_SUFFIXES


def is_stream(path: Path | str) -> 'TypeIs[str]':
    """Whether it is a camera's number, an address or standard input, not a file."""
    return isinstance(path, str)


def expand_inputs(arguments: Sequence[str]) -> Inputs:
    """Find the images and videos that the arguments name.

    A file counts whatever its suffix. Of a folder, the images and videos
    directly in it count (by suffix); so do those that a glob matches, and
    ``'folder/**/*'`` goes through subfolders. A number that is no file is a camera,
    and ``-`` standard input.

    Raises:
        UserError: nothing matches.
    """
    paths: dict[str, Path | str] = {}
    missing = []
    for argument in map(str, arguments):
        matches = list(_expand(argument))
        if not matches:
            missing.append(argument)
        for path in matches:
            paths.setdefault(path if is_stream(path) else real_path(path), path)
    if not paths:
        raise UserError(
            f'No image or video found in {", ".join(map(str, arguments)) or "no input"}: give '
            "files, folders or globs such as 'photos/*.jpg'."
        )
    return Inputs(list(paths.values()), missing)


def real_path(path: Path) -> str:
    """The path without links."""
    plain = os.path.join(_real_folder(str(path.parent)), path.name)
    return os.path.realpath(plain) if os.path.islink(plain) else plain


@lru_cache(maxsize=1024)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _expand(argument: str) -> Iterable[Path | str]:
    if os.path.isdir(argument):
        with os.scandir(argument) as entries:
            return _media(Path(entry.path) for entry in entries)
    if os.path.lexists(argument):
        return [Path(argument)]
    if argument == STDIN or argument.isdigit() or argument.lower().startswith(STREAM_SCHEMES):
        return [argument]
    try:
        return _media(Path(match) for match in glob.iglob(argument, recursive=True))
    except OSError:  # a name that is too long for a file
        return []


def _media(paths: Iterable[Path]) -> list[Path]:
    suffixes = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    return sorted(path for path in paths if path.suffix.lower() in suffixes and path.is_file())
