"""Configs pointed at a data set: what ``--data-root DIR`` does.

The accepted formats and folders are shown in ``data/README.md``.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from lighthead.data.classes import palette_for
from lighthead.data.find_splits import DataLayout, Split, find_splits
from lighthead.errors import UserError


def apply_data_root(
    cfg: Config,
    root: str | Path,
    classes: Sequence[str] | None = None,
    val_fraction: float | None = None,
    fold: tuple[int, int] | None = None,
    seed: int = 0,
) -> DataLayout:
    """Point a config at a data set, in place.

    Paths are written absolute, so that the dumped config works from any
    folder. A data set without a val split trains without validation: the val
    and test loaders, evaluators and loops become None, and the log says so.

    Args:
        cfg: Config with ``{train,val,test}_dataloader`` and evaluators.
        root: The data set's folder.
        classes: A trained model's classes, to test it on the val split: they
            are kept, with every ``num_classes``, and the train loader is left
            alone. None takes the classes from the train split.
        val_fraction, fold, seed: See :func:`lighthead.data.find_splits.find_splits`.

    Raises:
        UserError: In no known format, no split that is needed, or a category
            that the model given by ``classes`` does not know.
    """
    layout = find_splits(Path(root).absolute(), val_fraction, fold, seed)
    if classes is None:
        if layout.train is None:
            raise UserError(f'{root} has no train split: see data/README.md for the layout.')
        classes = layout.train.classes
        _set_num_classes(cfg, len(classes))
        _set_loader(cfg, 'train', layout.root, layout.train, classes)
    else:
        _refuse_unknown(layout, classes)
    _set_validation(cfg, layout, classes)
    if 'data_root' in cfg:
        cfg.data_root = f'{layout.root}/'
    return layout


def _set_validation(cfg: Config, layout: DataLayout, classes: Sequence[str]) -> None:
    """Validate and test on the val split, or not at all."""
    if layout.val is None:
        for name in ('val', 'test'):
            for key in (f'{name}_dataloader', f'{name}_evaluator', f'{name}_cfg'):
                cfg[key] = None
        print_log(
            f'{layout.root} has no val split: training runs without validation.', 'current', 30
        )
        return
    for name in ('val', 'test'):
        _set_loader(cfg, name, layout.root, layout.val, classes)
        _set_evaluators(cfg, name, layout.val)


def _refuse_unknown(layout: DataLayout, classes: Sequence[str]) -> None:
    if layout.val is None:
        raise UserError(f'{layout.root} has no val split: see data/README.md for the layout.')
    unknown = [name for name in layout.val.classes if name not in classes]
    if unknown:
        raise UserError(
            f'{layout.val.ann_file} has {len(unknown)} categories that the model does not know '
            f'({", ".join(unknown[:5])}): use a data set with the classes it was trained on.'
        )


def dataset_cfgs(loader: Mapping | None) -> list[dict]:
    """The dataset dicts of a dataloader config that read an annotation file, inside wrappers."""
    found = []

    def visit(node: object) -> None:
        if isinstance(node, dict):
            if 'ann_file' in node:
                found.append(node)
            else:
                visit(node.get('dataset'))
                visit(node.get('datasets'))
        elif isinstance(node, Sequence) and not isinstance(node, str):
            for item in node:
                visit(item)

    visit(loader)
    return found


def _set_loader(cfg: Config, name: str, root: Path, split: Split, classes: Sequence[str]) -> None:
    key = f'{name}_dataloader'
    if not cfg.get(key):
        return
    datasets = dataset_cfgs(cfg[key])
    if len(datasets) != 1:
        raise UserError(
            f'{key} of the config reads {len(datasets)} annotation files: '
            '--data-root needs exactly one data set there.'
        )
    datasets[0].update(
        data_root=f'{root}/',
        ann_file=_below(split.ann_file, root),
        data_prefix=dict(img=f'{_below(split.img_dir, root)}/'),
        metainfo=dict(classes=tuple(classes), palette=palette_for(classes)),
    )


def _below(path: Path, root: Path) -> str:
    """The path relative to ``root``, or as it is where it lies elsewhere (in the cache)."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _set_evaluators(cfg: Config, name: str, split: Split) -> None:
    evaluators = cfg.get(f'{name}_evaluator') or []
    for evaluator in [evaluators] if isinstance(evaluators, dict) else evaluators:
        if 'ann_file' in evaluator or evaluator.get('type') in ('CocoDetMetric', 'CocoMetric'):
            evaluator['ann_file'] = str(split.ann_file)


def num_classes_fields(model: object, path: str = 'model') -> Iterator[tuple[dict, str]]:
    """Every dict under ``model`` that sets ``num_classes``, with its dotted path.

    An RPN has one class, object, by construction and is passed over.
    """
    if isinstance(model, dict):
        if 'num_classes' in model:
            yield model, path
        for key, value in model.items():
            if key != 'rpn_head':
                yield from num_classes_fields(value, f'{path}.{key}')
    elif isinstance(model, list | tuple):
        for number, item in enumerate(model):
            yield from num_classes_fields(item, f'{path}.{number}')


def _set_num_classes(cfg: Config, count: int) -> None:
    for owner, _ in list(num_classes_fields(cfg.get('model'))):
        owner['num_classes'] = count
    if 'num_classes' in cfg:
        cfg.num_classes = count
