"""Merging and dividing whole data sets."""

import pytest

from lighthead.data.convert import convert, divided, merged
from lighthead.data.formats import read_dataset
from lighthead.errors import UserError

from .formats.builders import coco_json, write_image, write_text


@pytest.fixture
def root(tmp_path):
    for split, count in (('train', 6), ('val', 4)):
        names = [f'{n}.jpg' for n in range(count)]
        for name in names:
            write_image(tmp_path / 'data' / split / name)
        write_text(tmp_path / 'data' / 'annotations' / f'{split}.json', coco_json(names))
    return tmp_path / 'data'


def test_merged_splits_keep_every_image_and_box(root):
    whole = merged(read_dataset(root))
    assert len(whole.content['images']) == len(whole.content['annotations']) == 10
    ids = {image['id'] for image in whole.content['images']}
    assert {entry['image_id'] for entry in whole.content['annotations']} == ids
    assert all((whole.img_dir / image['file_name']).is_file() for image in whole.content['images'])


def test_a_new_division_is_written_and_read_back(root, tmp_path):
    data = divided(read_dataset(root), {'train': 3, 'val': 1, 'test': 1}, seed=1)
    convert(data, tmp_path / 'out', 'yolo')
    again = read_dataset(tmp_path / 'out')
    counts = {name: len(split.content['images']) for name, split in again.splits.items()}
    assert counts == {'train': 6, 'val': 2, 'test': 2}


def test_other_classes_cannot_be_merged(root):
    write_text(root / 'annotations' / 'val.json', coco_json(['0.jpg'], ('cat', 'bird')))
    with pytest.raises(UserError, match='cannot be merged'):
        merged(read_dataset(root))
