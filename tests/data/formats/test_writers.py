"""From one format to another and back nothing moves by more than half a pixel."""

import pytest

from lighthead.data.formats import read_dataset
from lighthead.data.formats.labelled import LabelledData, LabelledSplit
from lighthead.data.formats.writers import write_dataset
from lighthead.errors import UserError

from .builders import HEIGHT, WIDTH, write_image

BOXES = {
    # file name -> (category id, box, crowd)
    'ä b.JPG': [(3, [1.3, 2.7, 10.1, 5.5], 0), (90, [0, 0, 40, 30], 0)],
    'deep/x.png': [(3, [20.25, 10.5, 1.5, 2.25], 0)],
    'DEEP/X.jpg': [],
    'crowd.bmp': [(90, [5, 5, 20, 20], 1)],
}


@pytest.fixture
def data(tmp_path) -> LabelledData:
    images, annotations = [], []
    for name, boxes in BOXES.items():
        write_image(tmp_path / 'source' / name)
        images.append({'id': len(images) + 7, 'file_name': name, 'width': WIDTH, 'height': HEIGHT})
        for category_id, box, crowd in boxes:
            entry = {'id': len(annotations) + 1, 'image_id': images[-1]['id'], 'bbox': box}
            annotations.append({**entry, 'category_id': category_id, 'iscrowd': crowd})
    images.append({'id': 99, 'file_name': 'gone.jpg', 'width': 8, 'height': 8})
    categories = [{'id': 90, 'name': 'Zebra finch'}, {'id': 3, 'name': 'cat'}]
    content = {'images': images, 'annotations': annotations, 'categories': categories}
    split = LabelledSplit(content, tmp_path / 'source')
    return LabelledData(tmp_path, 'COCO', {'train': split, 'val': split})


def boxes_of(split: LabelledSplit) -> list[tuple[str, list[float], int]]:
    """Class name, box and crowd flag of every annotation, sorted."""
    names = {category['id']: category['name'] for category in split.content['categories']}
    return sorted(
        (names[a['category_id']], [round(v, 1) for v in a['bbox']], a['iscrowd'])
        for a in split.content['annotations']
    )


@pytest.mark.parametrize('form', ['coco', 'yolo', 'voc'])
@pytest.mark.parametrize('copy', [True, False])
def test_round_trip(tmp_path, data, form, copy):
    notes = write_dataset(data, tmp_path / 'out', form, copy)
    again = read_dataset(tmp_path / 'out')
    for name, split in data.splits.items():
        expected = boxes_of(split)
        if form == 'yolo':
            expected = [box for box in expected if not box[2]]
            assert notes == ['2 crowd boxes were left out: YOLO has none']
        written = again.splits[name]
        assert len(written.content['images']) == len(BOXES)
        for (label, box, crowd), (other_label, other_box, other_crowd) in zip(
            expected, boxes_of(written), strict=True
        ):
            assert (label, crowd) == (other_label, other_crowd)
            assert other_box == pytest.approx(box, abs=0.5)


def test_labels_of_equal_stems_stay_apart(tmp_path, data):
    write_image(tmp_path / 'source' / 'crowd.png')
    content = data.splits['train'].content
    content['images'].append({'id': 55, 'file_name': 'crowd.png', 'width': WIDTH, 'height': HEIGHT})
    write_dataset(data, tmp_path / 'out', 'yolo')
    names = sorted(path.name for path in (tmp_path / 'out' / 'labels' / 'train').glob('*.txt'))
    assert names == ['crowd.txt', 'crowd_2.txt', 'ä b.txt']


def test_a_folder_with_content_is_not_written_to(tmp_path, data):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'mine.txt').write_text('mine')
    with pytest.raises(UserError, match='not an empty folder'):
        write_dataset(data, tmp_path / 'out', 'coco')
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['mine.txt']


@pytest.mark.parametrize('form', ['coco', 'yolo', 'voc'])
def test_an_error_on_the_way_leaves_nothing(data, tmp_path, monkeypatch, form):
    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('shutil.copyfile', full)
    with pytest.raises(UserError, match='No space left'):
        write_dataset(data, tmp_path / 'out', form)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['source']


def test_half_of_a_surrogate_pair_is_no_name(data, tmp_path):
    data.splits['train'].content['categories'][0]['name'] = '\ud800'
    with pytest.raises(UserError, match='no Unicode text'):
        write_dataset(data, tmp_path / 'out', 'coco')
    assert not (tmp_path / 'out').exists()
