"""The data set: classes, images without boxes, reproducible augmentation, unreadable images."""

import json
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from lighthead.data import CocoDetDataset
from lighthead.data.dataset import UnreadableImageError, seeded_rng
from lighthead.errors import UserError

AUGMENT = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomChoiceResize', scales=[(40, 30), (60, 45)], keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackDetInputs'),
]


def dataset_of(root: Path, **kwargs: object) -> CocoDetDataset:
    settings = dict(
        data_root=str(root),
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        serialize_data=False,  # its gc.collect() is slow
    )
    return CocoDetDataset(**{**settings, **kwargs})


def test_classes_come_from_the_json(pristine_coco: Path) -> None:
    dataset = dataset_of(pristine_coco)
    assert dataset.metainfo['classes'] == ('cat', 'dog', 'Zebra finch')
    assert dataset.metainfo['category_ids'] == (3, 7, 90)
    assert len(dataset.metainfo['palette']) == 3
    assert [i['bbox_label'] for i in dataset.get_data_info(1)['instances']] == [1, 2]


def test_labels_follow_the_order_of_the_config(pristine_coco: Path) -> None:
    classes = ('Zebra finch', 'cat')
    dataset = dataset_of(pristine_coco, metainfo=dict(classes=classes))
    assert dataset.metainfo['category_ids'] == (90, 3)
    assert [i['bbox_label'] for i in dataset.get_data_info(1)['instances']] == [0]
    assert [i['bbox_label'] for i in dataset.get_data_info(2)['instances']] == [0, 1]


def test_no_class_in_common(pristine_coco: Path) -> None:
    with pytest.raises(UserError, match=r'None of the classes in metainfo \(cow\)'):
        dataset_of(pristine_coco, metainfo=dict(classes=('cow',)))


def test_images_without_boxes_are_kept_unless_filtered(pristine_coco: Path) -> None:
    assert len(dataset_of(pristine_coco)) == 10
    assert dataset_of(pristine_coco).get_data_info(9)['instances'] == []
    assert len(dataset_of(pristine_coco, filter_cfg=dict(filter_empty_gt=True))) == 9
    with pytest.raises(UserError, match='filter_cfg leaves no image'):
        dataset_of(pristine_coco, filter_cfg=dict(min_size=1000))


def test_dirty_boxes_do_not_train(spoil: Callable) -> None:
    def dirty(content: dict) -> None:
        content['annotations'][0]['bbox'] = [float('nan'), 0, 5, 5]
        content['annotations'][1]['bbox'] = [30, 30, 500, 500]
        del content['annotations'][1]['area']

    instances = dataset_of(spoil(dirty)).get_data_info(0)['instances']
    assert [instance['bbox'] for instance in instances] == [[30, 30, 40, 48]]


def samples(loader: DataLoader, epoch: int) -> list[tuple[str, np.ndarray, np.ndarray]]:
    loader.batch_sampler.set_epoch(epoch)
    return [
        (sample.img_path, image.numpy(), sample.gt_instances.bboxes.numpy())
        for batch in loader
        for image, sample in zip(batch['inputs'], batch['data_samples'], strict=True)
    ]


def loader_of(root: Path, workers: int, seed: int = 1) -> DataLoader:
    return Runner.build_dataloader(
        dict(
            batch_size=3,
            num_workers=workers,
            persistent_workers=workers > 0,
            sampler=dict(type='ResumableSampler'),
            batch_sampler=dict(type='ResumableBatchSampler'),
            dataset=dict(
                type='CocoDetDataset',
                data_root=str(root),
                ann_file='annotations/instances_train.json',
                data_prefix=dict(img='train/'),
                pipeline=AUGMENT,
                seed=seed,
            ),
        ),
        seed=seed,
    )


def same(first: list, second: list) -> bool:
    return len(first) == len(second) and all(
        a[0] == b[0] and np.array_equal(a[1], b[1]) and np.array_equal(a[2], b[2])
        for a, b in zip(first, second, strict=True)
    )


def test_augmentation_does_not_depend_on_workers(pristine_coco: Path) -> None:
    alone, helped = loader_of(pristine_coco, 0), loader_of(pristine_coco, 2)
    epochs = [samples(alone, epoch) for epoch in range(2)]
    random.random(), np.random.rand(), torch.rand(1)
    assert same(samples(helped, 0), epochs[0])
    assert same(samples(helped, 1), epochs[1])
    assert same(samples(alone, 1), epochs[1])
    assert not same(sorted(epochs[0]), sorted(epochs[1]))
    assert not same(samples(loader_of(pristine_coco, 0, seed=2), 0), epochs[0])


def test_images_of_one_epoch_differ_in_their_draws(pristine_coco: Path) -> None:
    dataset = dataset_of(pristine_coco, pipeline=[lambda info: (random.random(), np.random.rand())])
    draws = [dataset[epoch, index] for epoch in range(3) for index in range(10)]
    assert len(set(draws)) == 30
    assert dataset[2, 9] == draws[-1]


def test_generators_are_restored(pristine_coco: Path) -> None:
    dataset = dataset_of(pristine_coco, pipeline=AUGMENT)

    def state() -> bytes:
        numpy_state = np.random.get_state(legacy=False)
        return pickle.dumps((random.getstate(), numpy_state, torch.get_rng_state().tolist()))

    before = state()
    dataset[4, 2]
    assert state() == before
    with pytest.raises(ZeroDivisionError), seeded_rng(1):
        torch.rand(1), 1 / 0
    assert state() == before
    dataset[2]  # a stock sampler's index: the pipeline draws from the ambient generators
    assert state() != before


def test_another_image_is_chosen_reproducibly(pristine_coco: Path) -> None:
    def picky(info: dict) -> int | None:
        return None if info['sample_idx'] == 3 else info['sample_idx']

    dataset = dataset_of(pristine_coco, pipeline=[picky])
    first = [dataset[epoch, 3] for epoch in range(8)]
    np.random.seed(99)
    assert [dataset[epoch, 3] for epoch in range(8)] == first
    assert len(set(first)) > 1


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('damage', ['missing', 'not an image'])
def test_unreadable_image_is_named(
    damage: str, workers: int, spoil: Callable, tmp_path: Path
) -> None:
    root = spoil(lambda content: content['images'][0].update(file_name='../bad.png'))
    if damage == 'not an image':
        (root / 'train').unlink()
        (root / 'train').mkdir()
        (root / 'bad.png').write_bytes(b'none')
        content = json.loads((root / 'annotations/instances_train.json').read_text())
        content.update(images=content['images'][:1], annotations=[])
        (root / 'annotations/instances_train.json').write_text(json.dumps(content))
    dataset = dataset_of(root, pipeline=AUGMENT)
    sentence = r'bad\.png (does not exist\.|cannot be read as an image: .*\.json\.)$'
    with pytest.raises(UnreadableImageError, match=sentence) as caught:
        next(iter(DataLoader(dataset, num_workers=workers, collate_fn=list)))
    assert '\n' not in str(caught.value)


def test_faults_of_the_pipeline_are_not_blamed_on_the_image(pristine_coco: Path) -> None:
    def fault(info: dict) -> None:
        raise KeyError('fault')

    with pytest.raises(KeyError, match='fault'):
        dataset_of(pristine_coco, pipeline=[fault])[0, 0]


def test_an_image_of_another_size_is_told_once(spoil: Callable, monkeypatch) -> None:
    def resized(content: dict) -> None:
        content['images'][0]['width'] += 7

    dataset = dataset_of(spoil(resized), pipeline=AUGMENT)
    told = []
    monkeypatch.setattr('lighthead.data.dataset.print_log', lambda text, *args: told.append(text))
    for index in (0, 1, 0):
        dataset[(0, index)]
    assert len(told) == 1
    assert 'its boxes lie elsewhere' in told[0]
