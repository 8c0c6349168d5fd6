"""From what a config calls ``checkpoint`` to a file on this machine.

``torchvision://<model>`` and addresses are downloaded once into the cache that
torch.hub uses (``TORCH_HOME``), to a temporary name that is renamed when it is
complete. torch.hub's own download has no time limit and takes a truncated file
for a whole one, so only its cache folder and its hash convention are used.
"""

import hashlib
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import torch
import torchvision
from mmengine.logging import print_log
from torchvision.models import WeightsEnum

from lighthead.errors import UserError

TORCHVISION = 'torchvision://'
TIMEOUT = 15.0
"""Seconds without an answer after which a server counts as out of reach."""
CHUNK = 1 << 20
HASH_IN_NAME = re.compile(r'-([0-9a-f]{8,64})\.[^.]+$')
"""torch.hub's convention: the first hexadecimal digits of the file's SHA-256."""
WAY_OUT = 'or train without pretrained weights with --from-scratch'


def is_url(checkpoint: str) -> bool:
    """Whether ``checkpoint`` is an http(s) address."""
    return checkpoint.startswith(('http://', 'https://'))


def torchvision_weights(checkpoint: str) -> WeightsEnum:
    """torchvision's entry of ``torchvision://<model>``; nothing is downloaded."""
    name = checkpoint.removeprefix(TORCHVISION)
    try:
        return torchvision.models.get_model_weights(name).DEFAULT
    except (ValueError, AttributeError):
        known = [n for n in torchvision.models.list_models() if n.startswith('shufflenet_v2')]
        raise UserError(
            f'{checkpoint}: torchvision has no weights of that name; '
            f'those of ShuffleNetV2 are {", ".join(TORCHVISION + n for n in known)}.'
        ) from None


def cache_path(url: str) -> Path:
    """Where the file of an address lies, or will lie, on this machine.

    A name that carries its hash lies where torch.hub puts it. Other names are
    not unique, so they lie in a folder that is named after their address.
    """
    name = Path(urlparse(url).path).name
    if not name:
        raise UserError(f'{url}: the address names no file.')
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    if not HASH_IN_NAME.search(name):
        folder /= hashlib.sha256(url.encode()).hexdigest()[:8]
    return folder / name


def locate(checkpoint: str, timeout: float = TIMEOUT) -> Path:
    """The local file of ``torchvision://<model>``, an http(s) address, or a path.

    Raises:
        UserError: the file does not exist, or cannot be downloaded; then the
            sentence says where to put it.
    """
    if checkpoint.startswith(TORCHVISION):
        return download(torchvision_weights(checkpoint).url, timeout)
    if is_url(checkpoint):
        return download(checkpoint, timeout)
    if '://' in checkpoint and not checkpoint.startswith('file://'):
        raise UserError(
            f'checkpoint={checkpoint}: pretrained weights come from torchvision://<model>, '
            'an http(s) address, or a file.'
        )
    path = Path(checkpoint.removeprefix('file://')).expanduser()
    if not path.is_file():
        raise UserError(
            f'{path}: no such file of pretrained weights (model.backbone.init_cfg.checkpoint); '
            f'put it there, {WAY_OUT}.'
        )
    return path


def download(url: str, timeout: float = TIMEOUT) -> Path:
    """The cached file of an address, downloaded if it is not there yet."""
    target = cache_path(url)
    match = HASH_IN_NAME.search(target.name)
    if target.is_file():
        if match and not _file_hash(target).startswith(match.group(1)):
            print_log(
                f'{target} is not the published file (its SHA-256 does not start with '
                f'{match.group(1)}); it is used all the same. Delete it to download it again.',
                logger='current',
                level=30,
            )
        return target
    print_log(f'downloading {url} to {target}', logger='current')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix='.download-') as folder:
            part = Path(folder) / target.name
            _receive(url, part, timeout)
            if match and not _file_hash(part).startswith(match.group(1)):
                raise HTTPException(f'its SHA-256 does not start with {match.group(1)}')
            part.replace(target)
    except (OSError, HTTPException) as error:
        reason = getattr(error, 'reason', None) or error
        if isinstance(error, urllib.error.HTTPError):
            reason = f'{error.code} {error.reason}'
        raise UserError(
            f'{url} could not be downloaded ({reason}): put the file at {target}, {WAY_OUT}.'
        ) from error
    return target


def _receive(url: str, part: Path, timeout: float) -> None:
    request = urllib.request.Request(url, headers={'User-Agent': 'lighthead'})
    with urllib.request.urlopen(request, timeout=timeout) as response, part.open('wb') as file:
        shutil.copyfileobj(response, file, CHUNK)
        expected = response.headers.get('Content-Length')
    size = part.stat().st_size
    if expected is not None and size != int(expected):
        raise HTTPException(f'only {size} of {expected} bytes arrived')


def _file_hash(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
