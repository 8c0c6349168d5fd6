"""Checks of an ncnn network before ncnn reads it.

ncnn trusts counts and shapes that stand in the text. So the text may hold only layers that
:mod:`lighthead.deploy.export_ncnn` writes, with options within bounds and inputs that an earlier
layer gives, and the file with the weights has to be as long as the channels make it.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lighthead.deploy.box_codings import BoxCodings, DistanceCoding
from lighthead.deploy.inference_settings import InferenceSettings
from lighthead.deploy.metadata import ExportMeta, dense_outputs
from lighthead.deploy.ncnn_layers import LINE, VECTOR, Blob, follow, option_faults
from lighthead.deploy.ncnn_names import CODINGS, HEAD_OUTPUTS, IMAGES, POOLED
from lighthead.deploy.seal import KEY, check_seal
from lighthead.errors import UserError
from lighthead.ncnn_format import MAGIC, Layer

MAX_LAYERS = 5000
IMAGE = Blob(3, (1, 1))


class NcnnAbout(NamedTuple):
    """What the file next to a network says of its detector."""

    meta: ExportMeta
    settings: InferenceSettings
    codings: BoxCodings


def read_network(text: bytes, weights: bytes, about: bytes, path: object) -> NcnnAbout:
    """Check the content of the three files; return what the third says.

    Raises:
        UserError: it is no detector, or damaged.
    """
    try:
        strings = json.loads(about)
    except (RecursionError, ValueError):
        strings = None
    if not _is_strings(strings) or KEY not in strings or CODINGS not in strings:
        raise _refusal(path, 'the .json next to it is not what was written with it')
    check_seal(strings[KEY], path, about, text, weights)
    meta = ExportMeta.from_strings(strings, path)
    codings = BoxCodings.parse_json(strings[CODINGS], f'The metadata in {path}')
    if meta.settings is None:
        raise _refusal(path, 'it has no settings')
    try:
        reason = next(_faults(text.decode('ascii'), len(weights), meta, meta.settings, codings), '')
    except (ArithmeticError, LookupError, ValueError) as error:
        reason = f'{type(error).__name__}: {error}'.splitlines()[0][:200]
    if reason:
        raise _refusal(path, reason)
    return NcnnAbout(meta, meta.settings, codings)


def _is_strings(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _refusal(path: object, reason: str) -> UserError:
    return UserError(
        f'{path} cannot be used ({reason}): give a file that tools/export.py wrote with its .bin '
        'and .json next to it, or export the checkpoint again.'
    )


def _faults(
    text: str, size: int, meta: ExportMeta, settings: InferenceSettings, codings: BoxCodings
) -> Iterator[str]:
    """What is wrong with a network."""
    magic, counts, *lines = text.removesuffix('\n').split('\n')
    if magic != MAGIC or not 0 < len(lines) <= MAX_LAYERS:
        yield f'it is no ncnn network, or has more than {MAX_LAYERS} layers'
    if odd := next((line for line in lines if not LINE.fullmatch(line)), None):
        yield f'it has the line {odd[:40]!r}'
    layers = [Layer(line) for line in lines]
    blobs = sum(len(layer.outputs) for layer in layers)
    if counts.split() != [str(len(layers)), str(blobs)]:
        yield 'its second line does not count its layers and blobs'
    pooled = pooled_size(settings, layers)
    known = {IMAGES: IMAGE, POOLED: Blob(pooled, VECTOR)}
    expected = 0
    for layer in layers:
        yield from option_faults(layer)
        expected += follow(layer, known)
    if expected != size:
        yield f'its weights have {size} bytes, and its layers ask for {expected}'
    if any(known.get(name) != blob for name, blob in outputs(meta, settings, codings, pooled)):
        yield 'its outputs are not those of its detector'


def pooled_size(settings: InferenceSettings, layers: Sequence[Layer]) -> int:
    """Numbers that a pooled RoI has: as many as the first fully connected layer reads."""
    first = next(layer for layer in layers if layer.kind == 'InnerProduct')
    count = first.number(2) // first.number(0)
    if count % (settings.bins[0] * settings.bins[1]):
        raise ValueError('a RoI has other bins')
    return count


def outputs(
    meta: ExportMeta, settings: InferenceSettings, codings: BoxCodings, pooled: int
) -> Iterator[tuple[str, Blob]]:
    """Name and shape of each output of the network."""
    rpn, levels, classes = codings.rpn, codings.levels, len(meta.classes)
    if classes != settings.num_classes:
        raise ValueError(f'{classes} classes have names, and {settings.num_classes} are detected')
    values = 4 * (rpn.reg_max + 1) if isinstance(rpn, DistanceCoding) else 4
    maps = [Blob(len(level.anchors), level.stride) for level in levels]
    maps += [Blob(values * len(level.anchors), level.stride) for level in levels]
    maps.append(Blob(pooled, (settings.stride, settings.stride)))
    boxes = 1 if settings.class_agnostic else classes
    logits = Blob(classes + (codings.rpn_weight is None), VECTOR)
    yield from zip(dense_outputs(len(levels)), maps, strict=True)
    yield from zip(HEAD_OUTPUTS, (logits, Blob(4 * boxes, VECTOR)), strict=True)
