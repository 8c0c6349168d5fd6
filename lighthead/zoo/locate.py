"""From what a user calls a model to its file on this machine."""

import hashlib
import os
from pathlib import Path

from lighthead.download import RemoteFile, download_file
from lighthead.errors import UserError
from lighthead.weights.fetch import cache_path, is_url
from lighthead.zoo.entries import ModelEntry, find
from lighthead.zoo.hub import HUB, from_hub

SUFFIXES = ('.pth', '.safetensors', '.onnx', '.xml', '.param', '.pt2')
"""Of files that a detector is read from."""


def locate_model(name: str | os.PathLike) -> Path:
    """The file of a model.

    Args:
        name: A path; a name of the zoo (``lighthead-people``); an http(s) address, with
            ``#sha256=...`` where its hash is known; or ``hf://owner/repository[@revision]``.

    Raises:
        UserError: there is no such model, or it cannot be downloaded.
    """
    text = os.fspath(name)
    if text.startswith(HUB):
        return from_hub(text)
    if is_url(text):
        url, _, digest = text.partition('#sha256=')
        return downloaded(url, digest or None)
    path = Path(text)
    if path.exists() or path.suffix in SUFFIXES or len(path.parts) > 1:
        return path  # whoever reads it says what is wrong with it
    return model_file(find(text))


def model_file(entry: ModelEntry) -> Path:
    """The checked file of an entry of the zoo.

    Raises:
        UserError: the package's file is damaged, or the download failed.
    """
    path = entry.path
    if path is None and entry.url is not None:
        return downloaded(entry.url, entry.sha256)
    if path is None or not path.is_file() or file_sha256(path) != entry.sha256:
        raise UserError(
            f'{path or entry.name} is missing or damaged: install lighthead again, or '
            'give the path of another checkpoint.'
        )
    return path


def downloaded(url: str, sha256: str | None) -> Path:
    """The cached file of an address, downloaded if it is not there, or is not the right one.

    Raises:
        UserError: it cannot be downloaded, or is another file.
    """
    target = cache_path(url)
    if sha256 and target.is_file() and file_sha256(target) != sha256:
        target.unlink()
    return download_file(RemoteFile(url, checksum=sha256 and f'sha256:{sha256}'), target)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
