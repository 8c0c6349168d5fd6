"""Bad data ends in a sentence that names it."""

import math
import re
from pathlib import Path

import pytest

from lighthead.data.check import check_data
from lighthead.errors import UserError


def annotation(content: dict, **changes: object) -> None:
    content['annotations'][0].update(changes)


def test_clean_data_is_summarised(pristine_coco: Path, make_cfg) -> None:
    report = check_data(make_cfg(pristine_coco), ('train', 'val', 'test'))
    assert [split.split for split in report.splits] == ['train', 'val']  # test is val
    train = report.splits[0]
    assert (train.images, train.images_without_boxes, train.classes) == (10, 1, 3)
    assert train.boxes.kept == 18
    assert train.tiny_images == 0
    lines = report.summary()
    assert '10 images (1 without boxes), 3 classes, 18 boxes' in lines[0]


def drop_key(key: str, entry: str):
    return lambda content: content[entry][1].pop(key)


BAD_CONTENT = [
    (lambda c: c.update(images=[]), 'lists no images'),
    (lambda c: c.update(annotations=[]), 'has no annotations'),
    (lambda c: c.pop('annotations'), 'has no annotations'),
    (lambda c: c.update(images={'a': 1}), '"images" is not a list of objects'),
    (lambda c: c.update(annotations=[[1, 2]]), '"annotations" is not a list of objects'),
    (lambda c: c.pop('categories'), '"categories" is not a list of objects'),
    (lambda c: c.update(categories=[]), 'has no categories'),
    (lambda c: c['categories'].append(dict(id=7, name='x')), 'has the category id 7 twice'),
    (
        lambda c: c['categories'].append(dict(id=8, name='dog')),
        r'two categories named "dog" \(ids 7',
    ),
    (lambda c: c['categories'].append(dict(name='x')), 'category without a name or a whole-number'),
    (lambda c: annotation(c, category_id=5), r'1 annotations .* category_id .* a category .*\(5\)'),
    (lambda c: annotation(c, category_id=[3]), r'category_id that is not a category'),
    (lambda c: annotation(c, image_id=5), r'image_id that is not an image of the file \(5\)'),
    (lambda c: annotation(c, id=2), r'uses 1 annotation ids more than once \(2\)'),
    (lambda c: c['images'].append(c['images'][0]), r'uses 1 image ids more than once \(10\)'),
    (drop_key('file_name', 'images'), 'The image 11 of .* has no "file_name"'),
    (drop_key('width', 'images'), r'has no positive "width": None'),
    (lambda c: c['images'][1].update(height=-4), r'has no positive "height": -4'),
    (drop_key('id', 'images'), r'The image number 1 of .* has no "id"'),
    (
        lambda c: [a.update(bbox=[0, 0, 0, 0]) for a in c['annotations']],
        'has no usable box: 0 boxes',
    ),
    (lambda c: c['categories'][0].update(name='Cat'), r'1 of the 3 class names .*\(cat\)'),
]


@pytest.mark.parametrize(('change', 'sentence'), BAD_CONTENT)
def test_bad_content(change, sentence: str, spoil, make_cfg) -> None:
    root = spoil(change)
    with pytest.raises(UserError, match=sentence) as caught:
        check_data(make_cfg(root))
    assert 'instances_train.json' in str(caught.value)
    assert str(caught.value).endswith('.')


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('{"images": [', 'is not valid JSON'),
        ('[1, 2]', 'it holds a list'),
        (b'\xff\xfe\x00', 'is not valid JSON'),
    ],
)
def test_broken_file(text: str | bytes, sentence: str, spoil, make_cfg) -> None:
    root = spoil()
    data = text.encode() if isinstance(text, str) else text
    (root / 'annotations/instances_train.json').write_bytes(data)
    with pytest.raises(UserError, match=sentence):
        check_data(make_cfg(root))


@pytest.mark.parametrize(
    ('missing', 'sentence'),
    [
        ('', 'The data folder .* does not exist: give --data-root'),
        ('train', 'The image folder .*train .* does not exist'),
        ('annotations/instances_train.json', 'annotation file .*instances_train.json does not'),
    ],
)
def test_missing_paths(missing: str, sentence: str, spoil, make_cfg) -> None:
    root = spoil()
    (root / missing).rename(root.parent / 'elsewhere')
    with pytest.raises(UserError, match=sentence):
        check_data(make_cfg(root))


def test_missing_images_are_counted_and_five_named(spoil, make_cfg) -> None:
    def rename(content: dict) -> None:
        for image in content['images'][2:9]:
            image['file_name'] = 'gone/' + image['file_name']

    root = spoil(rename)
    names = ', '.join(f'gone/0{n}.png' for n in range(2, 7))
    with pytest.raises(UserError, match=re.escape('7 of the 10 images')) as caught:
        check_data(make_cfg(root))
    assert f'({names}, ...)' in str(caught.value)


def test_dirty_boxes_and_tiny_images_are_reported(spoil, make_cfg) -> None:
    boxes = [[1, 1, math.nan, 3], [1, 1, -4, 3], [99, 1, 4, 4], [40, 1, 20, 4], 'box']

    def dirty(content: dict) -> None:
        for entry, box in zip(content['annotations'], boxes, strict=False):
            entry['bbox'] = box
        content['images'][9]['width'] = 20

    lines = check_data(make_cfg(spoil(dirty))).summary()
    assert (
        '1 clipped to the image, 4 dropped (2 NaN, infinite or not four numbers, '
        '1 negative or no area, 1 outside the image)'
    ) in lines[0]
    assert lines[1] == 'train data: 1 images have a side shorter than 32 pixels'


def test_wrong_num_classes_names_the_field(pristine_coco: Path, make_cfg) -> None:
    cfg = make_cfg(pristine_coco)
    cfg.model.roi_head.bbox_head[1].num_classes = 80
    with pytest.raises(UserError, match=r'model\.roi_head\.bbox_head\.1\.num_classes is 80, but'):
        check_data(cfg)


def test_stock_dataset_type_expects_cocos_classes(pristine_coco: Path, make_cfg) -> None:
    cfg = make_cfg(pristine_coco)
    dataset = cfg.train_dataloader.dataset
    dataset.type = 'CocoDataset'
    del dataset['metainfo']
    with pytest.raises(UserError, match='78 of the 80 class names in metainfo'):
        check_data(cfg)


def test_subset_of_classes_is_noted(pristine_coco: Path, make_cfg) -> None:
    cfg = make_cfg(pristine_coco)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.metainfo.classes = ('dog',)
    for head in cfg.model.roi_head.bbox_head:
        head.num_classes = 1
    lines = check_data(cfg).summary()
    assert '2 categories of' in lines[1]
    assert lines[1].endswith('are not used: cat, Zebra finch')


def test_missing_evaluator_file(pristine_coco: Path, make_cfg) -> None:
    cfg = make_cfg(pristine_coco)
    cfg.test_evaluator[0].ann_file = 'nowhere.json'
    check_data(cfg)
    with pytest.raises(UserError, match=r'test_evaluator\.ann_file nowhere\.json does not exist'):
        check_data(cfg, ('test',))
