"""Find the annotation files and image folders of a data set in COCO layout.

``tools/train.py --data-root DIR`` accepts COCO itself and what labelling tools
export; the accepted forms are shown in ``data/README.md``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from lighthead.data.classes import classes_from_json, classes_of, palette_for
from lighthead.data.clean import load_coco_json
from lighthead.errors import UserError

__all__ = [
    'CocoLayout',
    'Split',
    'apply_data_root',
    'classes_from_json',
    'dataset_cfgs',
    'find_coco_layout',
    'num_classes_fields',
]

SPLIT_NAMES = {
    'train': ('train2017', 'train'),
    'val': ('val2017', 'val', 'valid', 'validation'),
}
ANNOTATION_FORMS = (
    'annotations/instances_{}.json',
    'annotations/{}.json',
    'instances_{}.json',
    '{}.json',
    '{}/_annotations.coco.json',
)
IMAGE_FORMS = ('{}', 'images/{}', 'images', '.')


@dataclass(frozen=True)
class Split:
    """One part of a data set: its annotations, its images, its classes in the JSON's order."""

    ann_file: Path
    img_dir: Path
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]


@dataclass(frozen=True)
class CocoLayout:
    """A data set on disk; a split that it lacks is None."""

    root: Path
    train: Split | None
    val: Split | None


def find_coco_layout(root: str | Path) -> CocoLayout:
    """Find the splits of a data set in COCO layout.

    Raises:
        UserError: The folder is missing, holds no annotation file that is
            looked for, several for one split, or no images for one.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f'The data folder {root} does not exist: check the path.')
    train, val = (_find_split(root, name) for name in ('train', 'val'))
    if train is None and val is None:
        raise UserError(
            f'{root} is not in COCO layout: there is no annotations/instances_train2017.json, '
            'annotations/instances_val2017.json or another of the forms in data/README.md.'
        )
    return CocoLayout(root, train, val)


def _find_split(root: Path, split: str) -> Split | None:
    found = [
        (name, path)
        for name in SPLIT_NAMES[split]
        for path in (root / form.format(name) for form in ANNOTATION_FORMS)
        if path.is_file()
    ]
    if not found:
        return None
    if len(found) > 1:
        files = ', '.join(str(path.relative_to(root)) for _, path in found)
        raise UserError(
            f'{root} has several annotation files for the {split} split ({files}): '
            'keep one, or name it in the config.'
        )
    name, ann_file = found[0]
    content = load_coco_json(ann_file)
    classes, category_ids = classes_of(content, ann_file)
    return Split(ann_file, _find_images(root, split, name, content), classes, category_ids)


def _find_images(root: Path, split: str, name: str, content: Mapping) -> Path:
    """The folder that has the first image listed, else the folder named for the split."""
    names = [name, *(other for other in SPLIT_NAMES[split] if other != name)]
    folders = list(dict.fromkeys(root / form.format(n) for form in IMAGE_FORMS for n in names))
    listed = (image.get('file_name') for image in content['images'])
    first = next((file for file in listed if isinstance(file, str)), None)
    for folder in folders:
        if first is not None and (folder / first).is_file():
            return folder
    for folder in folders:
        if folder.is_dir() and folder != root:
            return folder
    raise UserError(
        f'{root} has no image folder for the {split} split: put the images in {root / name}.'
    )


def apply_data_root(
    cfg: Config, root: str | Path, classes: Sequence[str] | None = None
) -> CocoLayout:
    """Point a config at a data set in COCO layout, in place.

    Paths are written absolute, so that the dumped config works from any
    folder. A data set without a val split trains without validation: the val
    and test loaders, evaluators and loops become None, and the log says so.

    Args:
        cfg: Config with ``{train,val,test}_dataloader`` and evaluators.
        root: The data set's folder.
        classes: A trained model's classes, to test it on the val split: they
            are kept, with every ``num_classes``, and the train loader is left
            alone. None takes the classes from the train split's JSON.

    Raises:
        UserError: Not in COCO layout, no split that is needed, or a category
            that the model given by ``classes`` does not know.
    """
    layout = find_coco_layout(Path(root).absolute())
    if classes is None:
        if layout.train is None:
            raise UserError(f'{root} has no train split: see data/README.md for the layout.')
        classes = layout.train.classes
        _set_num_classes(cfg, len(classes))
        _set_loader(cfg, 'train', layout.root, layout.train, classes)
    else:
        _refuse_unknown(layout, classes)
    for name in ('val', 'test'):
        if layout.val is not None:
            _set_loader(cfg, name, layout.root, layout.val, classes)
            _set_evaluators(cfg, name, layout.val)
        else:
            for key in (f'{name}_dataloader', f'{name}_evaluator', f'{name}_cfg'):
                cfg[key] = None
    if layout.val is None:
        print_log(f'{root} has no val split: training runs without validation.', 'current', 30)
    if 'data_root' in cfg:
        cfg.data_root = f'{layout.root}/'
    return layout


def _refuse_unknown(layout: CocoLayout, classes: Sequence[str]) -> None:
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
        if isinstance(node, Mapping):
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
        ann_file=str(split.ann_file.relative_to(root)),
        data_prefix=dict(img=f'{split.img_dir.relative_to(root)}/'),
        metainfo=dict(classes=tuple(classes), palette=palette_for(classes)),
    )


def _set_evaluators(cfg: Config, name: str, split: Split) -> None:
    evaluators = cfg.get(f'{name}_evaluator') or []
    for evaluator in [evaluators] if isinstance(evaluators, Mapping) else evaluators:
        if 'ann_file' in evaluator or evaluator.get('type') in ('CocoDetMetric', 'CocoMetric'):
            evaluator['ann_file'] = str(split.ann_file)


def num_classes_fields(model: object, path: str = 'model') -> Iterator[tuple[dict, str]]:
    """Every dict under ``model`` that sets ``num_classes``, with its dotted path.

    An RPN has one class, object, by construction and is passed over.
    """
    if isinstance(model, Mapping):
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
