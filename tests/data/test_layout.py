"""Folders in COCO layout are found, and configs pointed at them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mmdet.datasets import CocoDataset
from mmengine.config import Config

from lighthead.data.check import check_data
from lighthead.data.classes import classes_from_json, palette_for
from lighthead.data.find_splits import find_splits
from lighthead.data.layout import apply_data_root
from lighthead.errors import UserError

from .formats.builders import YOLO_LINE, write_image, write_text

FORMS = [
    ('annotations/instances_train2017.json', 'train2017', 'a.jpg'),
    ('annotations/instances_train.json', 'train', 'a.jpg'),
    ('annotations/train2017.json', 'train2017', 'a.jpg'),
    ('annotations/train.json', 'images/train', 'a.jpg'),
    ('annotations/train.json', 'images', 'sub/a.jpg'),
    ('annotations/instances_train2017.json', 'train', 'a.jpg'),
    ('instances_train.json', 'train', 'a.jpg'),
    ('train.json', 'train', 'a.jpg'),
    ('train.json', '.', 'pictures/a.jpg'),
    ('train/_annotations.coco.json', 'train', 'a.jpg'),
]


def write_split(root: Path, ann_file: str, img_dir: str, image: str) -> None:
    (root / ann_file).parent.mkdir(parents=True, exist_ok=True)
    (root / img_dir / image).parent.mkdir(parents=True, exist_ok=True)
    (root / img_dir / image).touch()
    content = dict(
        images=[dict(id=1, file_name=image, width=9, height=9)],
        categories=[dict(id=5, name='b'), dict(id=2, name='a')],
    )
    (root / ann_file).write_text(json.dumps(content))


@pytest.mark.parametrize(('ann_file', 'img_dir', 'image'), FORMS)
@pytest.mark.parametrize('val', ['val', 'valid'])
def test_forms(ann_file: str, img_dir: str, image: str, val: str, tmp_path: Path) -> None:
    write_split(tmp_path, ann_file, img_dir, image)
    write_split(tmp_path, f'annotations/instances_{val}.json', val, 'v.jpg')
    layout = find_splits(str(tmp_path))
    assert layout.train.ann_file == tmp_path / ann_file
    assert layout.train.img_dir == tmp_path / img_dir
    assert layout.train.classes == ('b', 'a')
    assert layout.train.category_ids == (5, 2)
    assert layout.val.img_dir == tmp_path / val
    assert classes_from_json(layout.val.ann_file) == (('b', 'a'), (5, 2))


def test_missing_first_image_falls_back_to_the_named_folder(tmp_path: Path) -> None:
    write_split(tmp_path, 'annotations/train.json', 'train', 'a.jpg')
    (tmp_path / 'train/a.jpg').unlink()
    assert find_splits(tmp_path).train.img_dir == tmp_path / 'train'


def two_files(root: Path) -> None:
    write_split(root, 'train.json', 'train', 'a.jpg')
    write_split(root, 'annotations/instances_train2017.json', 'train2017', 'a.jpg')


def no_images(root: Path) -> None:
    write_split(root, 'train.json', 'train', 'a.jpg')
    (root / 'train/a.jpg').unlink()
    (root / 'train').rmdir()


def broken(root: Path) -> None:
    (root / 'train.json').write_text('{')


@pytest.mark.parametrize(
    ('prepare', 'sentence'),
    [
        (Path.rmdir, 'The data folder .* does not exist: check the path'),
        (lambda root: None, 'is in no known format: it needs a COCO JSON file'),
        (
            two_files,
            r'several annotation files for the train split \(train.json, annotations/inst.*\)',
        ),
        (no_images, 'has no image folder for the train split: put the images in .*train'),
        (broken, 'train.json is not valid JSON'),
    ],
)
def test_bad_folders(prepare: Callable, sentence: str, tmp_path: Path) -> None:
    root = tmp_path / 'root'
    root.mkdir()
    prepare(root)
    with pytest.raises(UserError, match=sentence):
        find_splits(root)


def coco_cfg(make_cfg: Callable) -> Config:
    """A config that points nowhere yet."""
    cfg = make_cfg(Path('data/coco'))
    for head in cfg.model.roi_head.bbox_head:
        head.num_classes = 80
    del cfg.train_dataloader.dataset['metainfo']
    return cfg


def test_apply_data_root(pristine_coco: Path, make_cfg: Callable) -> None:
    cfg = coco_cfg(make_cfg)
    apply_data_root(cfg, pristine_coco)
    assert [head.num_classes for head in cfg.model.roi_head.bbox_head] == [3, 3]
    assert cfg.model.rpn_head.num_classes == 1
    for name, split in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        dataset = cfg[f'{name}_dataloader'].dataset
        assert dataset.metainfo.classes == ('cat', 'dog', 'Zebra finch')
        assert len(dataset.metainfo.palette) == 3
        assert dataset.ann_file == f'annotations/instances_{split}.json'
    val_file = str(pristine_coco / 'annotations/instances_val.json')
    assert cfg.val_evaluator.ann_file == cfg.test_evaluator[0].ann_file == val_file
    check_data(cfg, ('train', 'val', 'test'))


def test_dumped_config_works_from_another_folder(
    pristine_coco: Path, make_cfg: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = coco_cfg(make_cfg)
    monkeypatch.chdir(pristine_coco.parent)
    apply_data_root(cfg, pristine_coco.name)
    cfg.dump(tmp_path / 'dumped.py')
    monkeypatch.chdir(tmp_path)
    report = check_data(Config.fromfile('dumped.py'), ('train', 'val', 'test'))
    assert [(split.images, split.classes) for split in report.splits] == [(10, 3), (4, 3)]


def test_without_val_split_there_is_no_validation(spoil: Callable, make_cfg: Callable) -> None:
    root = spoil()
    (root / 'annotations/instances_val.json').unlink()
    cfg = coco_cfg(make_cfg)
    apply_data_root(cfg, root)
    for key in ('dataloader', 'evaluator', 'cfg'):
        assert cfg[f'val_{key}'] is None
        assert cfg[f'test_{key}'] is None
    check_data(cfg, ('train', 'val'))


def test_training_needs_a_train_split(spoil: Callable, make_cfg: Callable) -> None:
    root = spoil()
    (root / 'annotations/instances_train.json').unlink()
    with pytest.raises(UserError, match='has no train split'):
        apply_data_root(coco_cfg(make_cfg), root)


def test_testing_keeps_the_models_classes(pristine_coco: Path, make_cfg: Callable) -> None:
    classes = ('Zebra finch', 'cow', 'dog', 'cat')
    cfg = coco_cfg(make_cfg)
    apply_data_root(cfg, pristine_coco, classes=classes)
    assert cfg.test_dataloader.dataset.metainfo.classes == classes
    assert cfg.model.roi_head.bbox_head[0].num_classes == 80
    assert cfg.train_dataloader.dataset.data_root == 'data/coco/'
    with pytest.raises(UserError, match=r'1 categories that the model does not know \(cat\)'):
        apply_data_root(cfg, pristine_coco, classes=('dog', 'Zebra finch'))


def test_several_datasets_in_one_loader(pristine_coco: Path, make_cfg: Callable) -> None:
    cfg = coco_cfg(make_cfg)
    dataset = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=dataset)
    apply_data_root(cfg, pristine_coco)
    assert cfg.train_dataloader.dataset.dataset.metainfo.classes[2] == 'Zebra finch'
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[dataset, dataset])
    with pytest.raises(UserError, match='train_dataloader of the config reads 2 annotation files'):
        apply_data_root(cfg, pristine_coco)


def test_palettes() -> None:
    coco = CocoDataset.METAINFO
    assert palette_for(coco['classes']) == coco['palette']
    many = palette_for([str(n) for n in range(100)])
    assert len(set(many)) == 100
    assert all(0 <= channel <= 255 for colour in many for channel in colour)


def yolo_set(root: Path, images: int = 10) -> None:
    for number in range(images):
        write_image(root / 'images' / f'{number}.jpg')
        write_text(root / 'labels' / f'{number}.txt', f'{number % 2} {YOLO_LINE}')
    write_text(root / 'data.yaml', 'train: images\nnames: [cat, dog]')


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'lighthead' / 'annotations'


def test_other_formats_become_coco_files_in_the_cache(
    make_cfg: Callable, cache: Path, tmp_path: Path
) -> None:
    yolo_set(tmp_path / 'data')
    cfg = coco_cfg(make_cfg)
    apply_data_root(cfg, tmp_path / 'data', val_fraction=0.2)
    assert cfg.train_dataloader.dataset.metainfo.classes == ('cat', 'dog')
    reports = check_data(cfg, ('train', 'val')).splits
    assert [(r.images, r.classes, r.boxes.kept) for r in reports] == [(8, 2, 8), (2, 2, 2)]
    names = sorted(path.name for path in cache.iterdir())
    apply_data_root(coco_cfg(make_cfg), tmp_path / 'data', val_fraction=0.2)
    assert sorted(path.name for path in cache.iterdir()) == names
    apply_data_root(coco_cfg(make_cfg), tmp_path / 'data', val_fraction=0.2, seed=1)
    assert len(list(cache.iterdir())) == 4


def test_folds_use_all_images(cache: Path, pristine_coco: Path) -> None:
    layouts = [find_splits(pristine_coco, fold=(index, 7)) for index in range(1, 8)]
    vals = [json.loads(layout.val.ann_file.read_text())['images'] for layout in layouts]
    assert all(vals)
    assert sum(map(len, vals)) == 14
    assert len({image['file_name'] for images in vals for image in images}) == 14


def test_a_val_split_is_not_made_where_there_is_one(pristine_coco: Path) -> None:
    with pytest.raises(UserError, match='has a val split already'):
        find_splits(pristine_coco, val_fraction=0.1)


def test_lists_in_the_middle_of_a_large_file_are_found(pristine_coco: Path) -> None:
    """Images, categories, annotations in this order, with megabytes on both sides."""
    (path,) = (pristine_coco / 'annotations').glob('*train*.json')
    content = json.loads(path.read_text())
    padded = dict(images=content['images'], more=' ' * 2_000_000, categories=content['categories'])
    padded |= dict(annotations=content['annotations'], rest=' ' * 2_000_000)
    path.write_text(json.dumps(padded))
    assert find_splits(pristine_coco).train.ann_file == path
