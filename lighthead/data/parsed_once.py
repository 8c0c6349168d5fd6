"""Annotation files that several steps of one run read: parsed once and handed on.

Finding the classes, checking the data, the data set and the metric all read
the same file; train2017's has 450 MB and takes gigabytes once parsed. Inside
:func:`parsed_once` the first of them parses it, without the segmentations,
which nothing here uses; the others get the same object, and the last one gives
it up (:func:`forget`). Outside, every reader parses for itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_files: dict[tuple[Path, str], tuple[tuple[int, int], Any]] | None = None
"""(file, kind of value) -> (time and size of the file, value), while :func:`parsed_once` lasts."""


@contextmanager
def parsed_once() -> Iterator[None]:
    """Hand parsed files on inside the block, or inside a function that this decorates."""
    global _files
    outer = _files
    _files = {} if outer is None else outer
    try:
        yield
    finally:
        _files = outer


def is_handing_on() -> bool:
    """Whether this runs inside :func:`parsed_once`."""
    return _files is not None


def handed_on(path: Path, kind: str, make: Callable[[], Any]) -> Any:
    """What ``make`` returns, or what it returned for this file before; do not change it."""
    if _files is None:
        return make()
    key, state = (path.resolve(), kind), path.stat()
    stamp = (state.st_mtime_ns, state.st_size)
    if key not in _files or _files[key][0] != stamp:
        _files[key] = (stamp, make())
    return _files[key][1]


def forget(path: str | Path, kind: str) -> None:
    """Give a value up that nobody is going to read again."""
    if _files is not None:
        _files.pop((Path(path).resolve(), kind), None)
