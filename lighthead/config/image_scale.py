"""The flag ``--img-scale``: another size of the images in all pipelines of a config."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config

from lighthead.errors import UserError

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
RESIZES = ('Resize', 'RandomResize', 'FixScaleResize')
MULTI_SCALE = 'RandomChoiceResize'


def set_img_scale(cfg: Config, value: Sequence[int]) -> None:
    """Another image size (width, height) in the pipelines of all splits.

    Images keep their aspect ratio and fit into the size, whichever way round.
    The sizes of a multi-scale training keep their ratio to the size of the test.
    """
    new = (value[0], value[1])
    test = _resize_of(_pipelines(cfg, LOADERS[1:]))
    if test is None:
        raise UserError('--img-scale: the config has no Resize for the test: use --cfg-options.')
    factor = min(new) / min(test)
    for transform in transforms_of(cfg, LOADERS):
        if transform.get('type') in RESIZES:
            transform['scale'] = new
        elif transform.get('type') == MULTI_SCALE:
            scales = transform['scales']
            transform['scales'] = [tuple(round(side * factor) for side in s) for s in scales]


def transforms_of(cfg: Config, loaders: Sequence[str]) -> list[dict]:
    """The transforms of the pipelines of some loaders, each once, to change them in place."""
    return list({id(t): t for t in _transforms(_pipelines(cfg, loaders))}.values())


def input_side(cfg: Config) -> int | None:
    """The longer side of the images in the test; None where no Resize says it."""
    scale = _resize_of(_pipelines(cfg, LOADERS[1:]) or _pipelines(cfg, LOADERS[:1]))
    return scale and max(scale)


def _resize_of(pipelines: Sequence[Any]) -> tuple[int, int] | None:
    scales = (t.get('scale') for t in _transforms(pipelines) if t.get('type') in RESIZES)
    return next((size for scale in scales if (size := _size(scale))), None)


def _size(scale: object) -> tuple[int, int] | None:
    """A Resize's scale, where it is one (width, height): it may be a number, or two sizes."""
    match scale:
        case [int(width), int(height)] if width > 0 and height > 0:
            return width, height
    return None


def _pipelines(cfg: Mapping, names: Sequence[str]) -> list[Any]:
    """The pipelines of the data sets of some loaders, those inside wrappers included."""
    found = []

    def visit(node: object) -> None:
        if isinstance(node, Mapping):
            if 'pipeline' in node:
                found.append(node['pipeline'])
            for key in ('dataset', 'datasets'):
                visit(node.get(key))
        elif isinstance(node, list | tuple):
            for item in node:
                visit(item)

    for name in names:
        visit(cfg.get(name))
    return found


def _transforms(node: object) -> Iterator[dict]:
    """The transforms of pipelines, those inside RandomChoice and the like included."""
    if isinstance(node, dict):
        yield node
        yield from _transforms(node.get('transforms'))
    elif isinstance(node, list | tuple):
        for item in node:
            yield from _transforms(item)
