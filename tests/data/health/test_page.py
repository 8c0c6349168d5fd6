"""``lighthead data check --html`` and ``data show --config``: pages and sheets of real files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lighthead import cli

HOSTILE = '<img src=x onerror=alert(1)>'
CONFIG = 'finetune/lighthead_shufflev2star_x0_5'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A train and a val image that are equal, with a box each and names that are markup."""
    root = tmp_path / 'data'
    (root / 'annotations').mkdir(parents=True)
    blocks = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    image = cv2.resize(blocks, (160, 120))
    for split in ('train', 'val'):
        (root / split).mkdir()
        name = f'{split} {HOSTILE}.png'
        (root / split / name).write_bytes(cv2.imencode('.png', image)[1].tobytes())
        box = dict(id=1, image_id=1, category_id=1, bbox=[20, 30, 60, 50], area=3000, iscrowd=0)
        content = dict(
            images=[dict(id=1, file_name=name, width=160, height=120)],
            annotations=[box],
            categories=[dict(id=1, name=HOSTILE)],
        )
        (root / 'annotations' / f'instances_{split}.json').write_text(json.dumps(content))
    return root


def test_the_page_shows_findings_anchors_and_images(root, tmp_path):
    page = tmp_path / 'page.html'
    words = ['data', 'check', root, '--html', page, '--img-scale', 320, 240]
    assert cli.main(list(map(str, words))) == 2, 'the same image is in both splits'
    text = page.read_text()
    assert HOSTILE not in text
    assert '&lt;img src=x onerror=alert(1)&gt;' in text
    for words in ('look the same in several splits', 'fit 320 x 240', '64 to 128', '100.0%'):
        assert words in text
    assert text.count('data:image/jpeg') == 3, 'one of each split, and the pair'


@pytest.mark.parametrize('name', ['page.txt', 'no/such/config'])
def test_mistakes_are_reported_before_the_images_are_opened(root, tmp_path, capsys, name):
    flags = ['--html', tmp_path / name] if '.' in name else ['--html', 'a.html', '--config', name]
    assert cli.main(list(map(str, ['data', 'check', root, *flags]))) == 2
    assert 'images' not in capsys.readouterr().out


def test_images_are_shown_as_they_are_trained_on(root, tmp_path, capsys):
    plain, augmented = tmp_path / 'plain.png', tmp_path / 'augmented.png'
    sheet = ['data', 'show', root, '--split', 'train', '--count', 1, '--out']
    assert cli.main(list(map(str, [*sheet, plain]))) == 0
    drawn = []
    for seed in range(6):
        words = [*sheet, augmented, '--config', CONFIG, '--seed', seed]
        assert cli.main(list(map(str, words))) == 0
        drawn.append(cv2.imread(str(augmented)))
    assert drawn[0].shape == (320, 320, 3)
    assert any((image != drawn[0]).any() for image in drawn), 'flipped by one seed, not by another'
    assert cli.main(list(map(str, [*sheet, plain, '--config', CONFIG, '--split', 'val']))) == 2
    assert 'leave --split out' in capsys.readouterr().err
