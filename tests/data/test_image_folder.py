"""Image folders: labels, reproducible augmentation, sentences for what is wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lighthead.data import ImageFolderDataset
from lighthead.data.dataset import UnreadableImageError
from lighthead.errors import UserError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes with one to three images of a gradient in red, 40 x 30."""
    for number, name in enumerate(('ant', 'bee', 'cow'), 1):
        for split in ('train', 'val'):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for index in range(number):
                pixels = np.zeros((30, 40, 3), np.uint8)
                pixels[..., 0] = np.arange(40) * 5 + index
                Image.fromarray(pixels).save(folder / f'{index}.png')
    return tmp_path


def test_labels_follow_the_alphabetical_order_of_the_folders(root: Path) -> None:
    dataset = ImageFolderDataset(str(root))
    assert dataset.metainfo['classes'] == ('ant', 'bee', 'cow')
    found = [dataset.path_and_label(i) for i in range(len(dataset))]
    assert [label for _, label in found] == [0, 1, 1, 2, 2, 2]
    assert [path.name for path, _ in found] == [
        '0.png',
        '0.png',
        '1.png',
        '0.png',
        '1.png',
        '2.png',
    ]
    assert all(path.parent.name == ('ant', 'bee', 'cow')[label] for path, label in found)


def test_evaluation_takes_the_central_crop_in_bgr(root: Path) -> None:
    dataset = ImageFolderDataset(
        str(root), 'val', test_mode=True, transform=dict(size=20, resize=30)
    )
    sample = dataset[0]
    assert sample['data_samples'] == 0
    assert sample['inputs'].dtype == torch.uint8
    assert sample['inputs'].shape == (3, 20, 20)
    assert not sample['inputs'][:2].any(), 'red is the last channel'
    assert sample['inputs'][2, 0].tolist() == [5 * column for column in range(10, 30)]


def test_augmentation_is_a_function_of_seed_epoch_and_image(root: Path) -> None:
    transform = dict(size=16, scale=(0.25, 1), color_jitter=0.4)
    dataset = ImageFolderDataset(str(root), transform=transform, seed=3)
    state = torch.get_rng_state()
    first = dataset[1, 4]['inputs']
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    assert torch.equal(dataset[1, 4]['inputs'], first)
    assert not torch.equal(dataset[2, 4]['inputs'], first)
    other_seed = ImageFolderDataset(str(root), transform=transform, seed=4)
    assert not torch.equal(other_seed[1, 4]['inputs'], first)


def test_classes_may_be_given_and_lack_images(root: Path) -> None:
    classes = ('bee', 'yak', 'ant', 'cow')
    dataset = ImageFolderDataset(str(root), 'val', classes=classes)
    assert [dataset.path_and_label(i)[1] for i in range(6)] == [0, 0, 2, 3, 3, 3]


def break_nothing_else(root: Path, what: str) -> None:
    """Spoil one thing in the folder."""
    if what == 'no split':
        (root / 'train').rename(root / 'training')
    elif what == 'flat':
        for path in list((root / 'train').glob('*/*.png')):
            path.rename(root / 'train' / f'{path.parent.name}_{path.name}')
        for path in [p for p in (root / 'train').iterdir() if p.is_dir()]:
            path.rmdir()
    elif what == 'empty class':
        (root / 'train/dog').mkdir()


@pytest.mark.parametrize(
    ('what', 'sentence'),
    [
        ('no split', r'There is no folder .*train.*--data-root'),
        ('flat', r'train holds 6 images but no class folders'),
        ('empty class', r'train/dog holds no images'),
    ],
)
def test_a_wrong_layout_ends_in_a_sentence(root: Path, what: str, sentence: str) -> None:
    break_nothing_else(root, what)
    with pytest.raises(UserError, match=sentence):
        ImageFolderDataset(str(root))


def test_an_unknown_class_is_named(root: Path) -> None:
    with pytest.raises(UserError, match=r'val/cow is none of the 2 classes'):
        ImageFolderDataset(str(root), 'val', classes=('ant', 'bee'))


def test_an_unreadable_image_is_named(root: Path) -> None:
    path = root / 'train/bee/1.png'
    path.write_bytes(path.read_bytes()[:40])
    dataset = ImageFolderDataset(str(root))
    with pytest.raises(UnreadableImageError, match=r'bee/1\.png cannot be read'):
        dataset[0, 2]
