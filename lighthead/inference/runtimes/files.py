"""What the backends of exported files share: reading, precision, and outputs that are checked."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lighthead.deploy.metadata import ExportMeta, file_parts
from lighthead.errors import UserError
from lighthead.files import read_regular_file
from lighthead.inference.preprocess import Preprocess
from lighthead.inference.runtimes.backend import RawDetections


def contiguous_batch(preprocess: Preprocess, images: Sequence[np.ndarray]) -> np.ndarray:
    """The batch as an array whose planes follow each other; see
    :meth:`lighthead.inference.runtimes.backend.Backend.make_batch`."""
    return preprocess.batch(images)


def model_sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a model's file; of OpenVINO's and ncnn's, of all that belong together."""
    digest = hashlib.sha256()
    for part in file_parts(Path(path)):
        with open(part, 'rb') as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def check_file_precision(
    meta: ExportMeta, precision: str | None, possible: Sequence[str], path: Path, backend: str
) -> str:
    """The precision to compute in: the file's own for None.

    Raises:
        UserError: the runtime has no such precision for this file.
    """
    if precision is None:
        return meta.precision
    if meta.precision == 'int8':
        possible = ('int8',)
    if precision not in possible:
        raise UserError(
            f'precision={precision!r} is not possible for {path} with {backend}: choose from '
            f'{", ".join(possible)}.'
        )
    return precision


def read_content(path: Path) -> bytes:
    """The content of one of a file's parts.

    Raises:
        UserError: it cannot be read, or is too large.
    """
    try:
        return read_regular_file(path)
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror or error}).') from error


@contextlib.contextmanager
def refusing_failures(path: Path) -> Iterator[None]:
    """Turn whatever a runtime raises into a UserError about the file."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the runtimes' errors share no class
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(f'{path} cannot be run ({reason}): export the checkpoint again.') from error


def unpad(
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    num: np.ndarray,
    classes: int,
    path: Path,
) -> list[RawDetections]:
    """The padded outputs of a file as detections per image.

    Raises:
        UserError: they are not what a detector of so many classes gives.
    """
    batch, most = scores.shape if scores.ndim == 2 else (0, 0)
    shapes = (scores.shape, boxes.shape, labels.shape, num.shape)
    whole = all(values.dtype.kind in 'iu' for values in (labels, num))
    if not whole or shapes != ((batch, most), (batch, most, 4), (batch, most), (batch,)):
        raise UserError(
            f'{path} gives outputs of wrong shapes or types: export the checkpoint again.'
        )
    detections = []
    for image, count in enumerate(num.tolist()):
        one = RawDetections(*(values[image, : max(count, 0)] for values in (boxes, scores, labels)))
        check_detections(one, classes, path, 0 <= count <= most)
        detections.append(one)
    return detections


def check_detections(
    one: RawDetections, classes: int, path: Path, possible_count: bool = True
) -> None:
    """Raise a UserError for detections that no detector of so many classes gives."""
    known = ((one.labels >= 0) & (one.labels < classes)).all()
    finite = np.isfinite(one.boxes).all() and np.isfinite(one.scores).all()
    if not (possible_count and known and finite):
        raise UserError(
            f'{path} gives impossible detections (a count, label, score or box out of range): '
            'export the checkpoint again.'
        )


def sizes_array(sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    """True sizes as the files want them: float32 (B, 2)."""
    return np.asarray(sizes, np.float32).reshape(-1, 2)
