"""From command-line inputs (files, folders, globs) to a list of pictures and videos."""

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from lighthead.errors import UserError

# fmt: off
IMAGE_SUFFIXES = frozenset((
    '.jpg', '.jpeg', '.jpe', '.png', '.webp', '.bmp', '.dib', '.tif', '.tiff', '.gif', '.ppm',
    '.pgm', '.pbm', '.jp2', '.avif', '.tga',
))
VIDEO_SUFFIXES = frozenset((
    '.mp4', '.m4v', '.avi', '.mov', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv', '.flv', '.ts',
))
# fmt: on


class Inputs(NamedTuple):
    """What was found.

    ``paths`` are in the order of the arguments, names within a folder or glob
    sorted, each file once. ``missing`` are arguments that match nothing.
    """

    paths: list[Path]
    missing: list[str]


def is_video(path: Path) -> bool:
    """Whether the suffix is a video's."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def expand_inputs(arguments: Sequence[str]) -> Inputs:
    """Find the pictures and videos that the arguments name.

    A file counts whatever its suffix. Of a folder, the pictures and videos
    directly in it count (by suffix); so do those that a glob matches, and
    ``'folder/**/*'`` goes through subfolders.

    Raises:
        UserError: nothing was found.
    """
    paths: dict[Path, Path] = {}
    missing = []
    for argument in arguments:
        found = list(_expand(str(argument)))
        if not found:
            missing.append(str(argument))
        for path in found:
            paths.setdefault(path.resolve(), path)
    if not paths:
        raise UserError(
            f'No image or video found in {", ".join(map(str, arguments)) or "no input"}: give '
            "files, folders or globs such as 'photos/*.jpg'."
        )
    return Inputs(list(paths.values()), missing)


def _expand(argument: str) -> Iterable[Path]:
    path = Path(argument)
    if path.is_dir():
        return _media(path.iterdir())
    if path.exists():
        return [path]
    return _media(Path(match) for match in glob.iglob(argument, recursive=True))


def _media(paths: Iterable[Path]) -> list[Path]:
    suffixes = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    return sorted(path for path in paths if path.suffix.lower() in suffixes and path.is_file())
