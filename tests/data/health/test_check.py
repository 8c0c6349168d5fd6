"""What ``lighthead data check`` finds, and the copy that ``--fix`` writes."""

import struct

import cv2
import numpy as np
import pytest

from lighthead.data.formats import LabelledData, LabelledSplit, read_dataset
from lighthead.data.health import check_dataset
from lighthead.data.health.duplicates import similar_groups
from lighthead.data.health.image_scan import scan_image
from lighthead.data.repair import write_repaired

from ..formats.builders import write_image


def photo(seed: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    """A picture (H, W, 3) whose fingerprint is its own: random blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(blocks, size[::-1], interpolation=cv2.INTER_LINEAR)


def split_of(folder, pictures: dict[str, np.ndarray | bytes], boxes=None) -> LabelledSplit:
    """A split whose images all have one good box, or the boxes given by file name."""
    folder.mkdir(parents=True)
    images, annotations = [], []
    for number, (name, picture) in enumerate(pictures.items(), start=1):
        if isinstance(picture, bytes):
            (folder / name).write_bytes(picture)
            height, width = 60, 80
        else:
            cv2.imwrite(str(folder / name), picture)
            height, width = picture.shape[:2]
        images.append({'id': number, 'file_name': name, 'width': width, 'height': height})
        for box in (boxes or {}).get(name, [[5, 5, 20, 20]]):
            entry = {'id': len(annotations) + 1, 'image_id': number, 'category_id': 1}
            annotations.append({**entry, 'bbox': box})
    categories = [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}]
    content = {'images': images, 'annotations': annotations, 'categories': categories}
    return LabelledSplit(content, folder)


def texts(report, split: str) -> list[str]:
    return [str(item) for item in report.findings[split]]


def test_a_sound_set_has_no_errors(tmp_path):
    pictures = {f'{n}.png': photo(n) for n in range(12)}
    data = LabelledData(tmp_path, 'COCO', {'train': split_of(tmp_path / 'train', pictures)})
    report = check_dataset(data)
    assert report.errors == 0
    assert texts(report, 'train') == []
    assert texts(report, '') == ['warning: 1 classes have no box (dog)']
    assert report.lines()[-1] == '0 errors, 1 warnings'


def test_faults_are_found(tmp_path):
    whole = cv2.imencode('.jpg', photo(1))[1].tobytes()
    pictures = {
        'good.png': photo(0),
        'cut.jpg': whole[: len(whole) // 2],
        'text.jpg': b'not an image',
        'boxes.png': photo(2),
        'empty.png': photo(3),
    }
    boxes = {
        'boxes.png': [[5, 5, 0, 9], [500, 5, 9, 9], [70, 5, 30, 9], [1, 1, 2, 9], [1, 1, 2, 9]],
        'empty.png': [],
    }
    split = split_of(tmp_path / 'train', pictures, boxes)
    split.content['images'][0]['width'] = 999
    split.content['images'].append({'id': 9, 'file_name': 'gone.jpg', 'width': 1, 'height': 1})
    report = check_dataset(LabelledData(tmp_path, 'COCO', {'train': split}))
    found = '\n'.join(texts(report, 'train'))
    assert 'error: 3 images are missing or broken (cut.jpg:' in found
    assert 'gone.jpg: the file is missing' in found
    assert '999 x 60 is written, 80 x 60 it is' in found
    assert 'error: 1 boxes have no area' in found
    assert 'error: 1 boxes lie outside their image' in found
    assert 'warning: 1 boxes reach out of their image' in found
    assert 'warning: 2 boxes have a side shorter than 4 pixels' in found
    assert 'warning: 1 boxes are there twice (boxes.png)' in found
    assert 'images have no boxes (empty.png' in found
    assert report.errors == 4


def test_an_image_in_two_splits_is_an_error(tmp_path):
    large = photo(5, (240, 320))
    small = cv2.resize(large, (160, 120), interpolation=cv2.INTER_AREA)
    splits = {
        'train': split_of(tmp_path / 'train', {'a.png': large, 'b.png': photo(6)}),
        'val': split_of(tmp_path / 'val', {'c.jpg': small, 'd.png': photo(7)}),
    }
    report = check_dataset(LabelledData(tmp_path, 'COCO', splits))
    assert report.similar == [[('train', 'a.png'), ('val', 'c.jpg')]]
    expected = 'look the same in several splits (train/a.png = val/c.jpg)'
    assert any(expected in text for text in texts(report, ''))


def test_the_repaired_copy_is_sound(tmp_path):
    pictures = {'good.png': photo(0), 'boxes.png': photo(1), 'text.jpg': b'not an image'}
    boxes = {'boxes.png': [[5, 5, 0, 9], [70, 5, 30, 9]]}
    splits = {
        'train': split_of(tmp_path / 'train', pictures, boxes),
        'val': split_of(tmp_path / 'val', {'again.png': photo(0), 'other.png': photo(9)}),
    }
    report = check_dataset(LabelledData(tmp_path, 'COCO', splits))
    notes = write_repaired(report, tmp_path / 'fixed')
    assert notes[0].startswith('train: 1 images left out; 2 boxes, 1 clipped')
    again = check_dataset(read_dataset(tmp_path / 'fixed'))
    assert again.errors == 0
    assert [len(s.content['images']) for s in again.data.splits.values()] == [2, 1]


@pytest.mark.parametrize(
    ('fingerprints', 'groups'),
    [
        ([0b1111 << 20, 1 << 40, 0b1110 << 20], [[0, 2]]),
        ([7, None, None, 7, 7], [[0, 3, 4]]),
        ([0, 0], []),  # without structure
        ([0xFF00, 0xFF00 ^ 0b111, 0xFF00 ^ 0b111111], [[0, 1, 2]]),  # a chain
        ([0xFF00, 0xFF00 ^ 0b1111], []),
        ([], []),
    ],
)
def test_similar_groups(fingerprints, groups):
    assert similar_groups(fingerprints) == groups


def test_fingerprints_survive_scaling_and_recompression(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), photo(3, (480, 640)))
    cv2.imwrite(str(tmp_path / 'b.jpg'), photo(3, (240, 320)), [cv2.IMWRITE_JPEG_QUALITY, 60])
    cv2.imwrite(str(tmp_path / 'c.png'), photo(4, (480, 640)))
    a, b, c = (scan_image(tmp_path / name) for name in ('a.png', 'b.jpg', 'c.png'))
    assert (a.fingerprint ^ b.fingerprint).bit_count() <= 3
    assert (a.fingerprint ^ c.fingerprint).bit_count() > 10
    assert b.size == (320, 240)


@pytest.mark.parametrize('error', [MemoryError(), RuntimeError('no item'), struct.error('x')])
def test_whatever_a_decoder_raises_is_a_broken_image(tmp_path, monkeypatch, error):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr('lighthead.data.health.image_scan.fingerprint', fail)
    scan = scan_image(write_image(tmp_path / 'a.png'))
    assert scan.size is None
    assert scan.error


def test_a_name_that_no_file_can_have_is_missing(tmp_path):
    assert scan_image(tmp_path / ('x' * 3000)).error == 'the file is missing'
