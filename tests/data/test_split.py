"""Splits: complete, seeded, stratified, groups together."""

from collections import Counter

import pytest

from lighthead.data.split import fold, group_by, hold_out, stratified_parts
from lighthead.errors import UserError


def content(images: int = 200) -> dict:
    """Class 1 in every image, class 2 in every tenth, class 3 in every fiftieth; some are empty."""
    entries = [{'id': n, 'file_name': f'video{n % 20:02d}_{n}.jpg'} for n in range(images)]
    annotations = []
    for n in range(images):
        labels = [1, *([2] if n % 10 == 0 else []), *([3] if n % 50 == 0 else [])]
        if n % 7 == 3:
            continue
        annotations += [{'image_id': n, 'category_id': label} for label in labels]
    return {'images': entries, 'annotations': annotations, 'categories': []}


def ids(part: dict) -> set:
    return {image['id'] for image in part['images']}


def test_every_image_is_in_one_part_with_its_annotations():
    whole = content()
    parts = stratified_parts(whole, (0.7, 0.2, 0.1))
    assert sorted(i for part in parts for i in ids(part)) == list(range(200))
    assert [len(part['images']) for part in parts] == pytest.approx([140, 40, 20], abs=3)
    for part in parts:
        assert {a['image_id'] for a in part['annotations']} <= ids(part)
    assert sum(len(part['annotations']) for part in parts) == len(whole['annotations'])


def test_rare_classes_are_shared_out():
    train, val = hold_out(content(), 0.25)
    counts = [Counter(a['category_id'] for a in part['annotations']) for part in (train, val)]
    assert counts[1][3] == 1
    assert counts[0][3] == 2
    assert counts[1][2] == pytest.approx(5, abs=1)


def test_a_seed_decides():
    assert ids(hold_out(content(), 0.2, seed=3)[1]) == ids(hold_out(content(), 0.2, seed=3)[1])
    assert ids(hold_out(content(), 0.2, seed=3)[1]) != ids(hold_out(content(), 0.2, seed=4)[1])


def test_groups_stay_together():
    group_of = group_by('^(video[0-9]+)_')
    train, val = hold_out(content(), 0.2, group_of=group_of)
    groups = [{group_of(image) for image in part['images']} for part in (train, val)]
    assert not groups[0] & groups[1]
    assert len(groups[1]) == 4


def test_folds_divide_the_data():
    vals = [ids(fold(content(), index, 5)[1]) for index in range(1, 6)]
    assert set.union(*vals) == set(range(200))
    assert sum(map(len, vals)) == 200
    train, val = fold(content(), 2, 5)
    assert ids(train) == set(range(200)) - ids(val)


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: hold_out(content(), 1.0), 'between 0 and 1'),
        (lambda: hold_out(content(1), 0.5), 'cannot be divided'),
        (lambda: hold_out(content(3), 0.01), 'too few'),
        (lambda: fold(content(), 6, 5), '1 to k'),
        (lambda: fold(content(3), 1, 5), 'cannot be divided'),
        (lambda: group_by('('), 'no regular expression'),
        (lambda: group_by('abc'), 'needs a group'),
    ],
)
def test_impossible_splits_end_in_an_error_message(call, message):
    with pytest.raises(UserError, match=message):
        call()
