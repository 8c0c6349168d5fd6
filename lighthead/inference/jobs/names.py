"""Names of output files: no two the same, none too long, none an input's."""

from collections.abc import Container, Sequence
from pathlib import Path

from lighthead.files import fitting_name
from lighthead.inference.inputs import STDIN, is_stream, is_video, real_path
from lighthead.inference.video import CODECS

IMAGE_FORMATS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp')
"""Drawings of other formats are written as .jpg."""


class UniqueNames:
    """Hands out every name once, without regard to upper and lower case.

    Args:
        folder: Where the files will be.
        taken: Real paths that no file may have.
    """

    def __init__(self, folder: Path | None = None, taken: Container[str] = ()) -> None:
        self._folder = folder
        self._taken = taken
        self._used: set[str] = set()

    def take(self, stem: str, suffix: str) -> str:
        """``stem + suffix``, with a number where that name is in use, cut to what fits."""
        number = 1
        while True:
            name = fitting_name(stem, (f'_{number}' if number > 1 else '') + suffix)
            if name.casefold() not in self._used and not self._is_taken(name):
                self._used.add(name.casefold())
                return name
            number += 1

    def _is_taken(self, name: str) -> bool:
        return self._folder is not None and real_path(self._folder / name) in self._taken


def drawing_names(paths: Sequence[Path | str], folder: Path) -> list[str]:
    """The name of each input's drawing in ``folder``: by the order of the inputs alone, so that
    a resumed run chooses the same."""
    names = UniqueNames(folder, {real_path(path) for path in paths if not is_stream(path)})
    return [names.take(*_stem_and_suffix(path)) for path in paths]


def _stem_and_suffix(path: Path | str) -> tuple[str, str]:
    if path == STDIN:
        return 'stdin', '.mp4'
    if is_stream(path):
        stem = ''.join(c if c.isalnum() else '_' for c in str(path).split('://')[-1].split('@')[-1])
        return f'camera_{stem}' if stem.isdigit() else stem, '.mp4'
    suffixes, other = (tuple(CODECS), '.mp4') if is_video(path) else (IMAGE_FORMATS, '.jpg')
    return path.stem, path.suffix if path.suffix.lower() in suffixes else other
