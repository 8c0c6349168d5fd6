"""The committed demo set is what the script makes, and is sound."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lighthead.data.clean_coco import CleanCOCO
from lighthead.data.demo import COUNTS, LEAST_VISIBLE, annotations_of, scene_of
from lighthead.data.demo_objects import KINDS, render
from lighthead.data.find_splits import find_splits

DEMO = Path(__file__).resolve().parents[2] / 'data/demo'


@pytest.mark.parametrize('split', ['train', 'val'])
def test_layout_and_annotations(split: str) -> None:
    found = getattr(find_splits(DEMO), split)
    assert found.classes == tuple(kind.name for kind in KINDS)
    assert found.category_ids == (1, 2, 4, 11, 16, 42)
    coco = CleanCOCO(found.ann_file)
    assert (coco.report.dropped, coco.report.clipped) == (0, 0)
    assert len(coco.imgs) == COUNTS[split]
    assert {path.name for path in found.img_dir.iterdir()} == {
        image['file_name'] for image in coco.imgs.values()
    }
    counts = [len(coco.get_ann_ids(cat_ids=[cat_id])) for cat_id in found.category_ids]
    assert min(counts) >= COUNTS[split] // 3
    for image in coco.imgs.values():
        pixels = cv2.imread(str(found.img_dir / image['file_name']))
        assert pixels.shape[:2] == (image['height'], image['width'])
        boxes = [annotation['bbox'] for annotation in coco.img_ann_map[image['id']]]
        assert all(w * h > 200 for *_, w, h in boxes)


def test_size_on_disk() -> None:
    assert sum(path.stat().st_size for path in DEMO.rglob('*') if path.is_file()) <= 4 * 2**20


@pytest.mark.parametrize(('split', 'first'), [('train', 0), ('train', 48), ('val', 0)])
def test_scenes_can_be_made_anew(split: str, first: int) -> None:
    committed = json.loads((DEMO / f'annotations/instances_{split}.json').read_text())
    scenes = [scene_of(split, number) for number in range(first, first + 4)]
    made = annotations_of(split, scenes)
    for number, (scene, image) in enumerate(zip(scenes, made['images'], strict=True), start=1):
        stored = committed['images'][first + number - 1]
        assert (stored['width'], stored['height']) == (image['width'], image['height'])
        boxes = {
            (a['category_id'], *a['bbox'], a['area'])
            for a in committed['annotations']
            if a['image_id'] == stored['id']
        }
        assert boxes == {(a['category_id'], *a['bbox'], a['area']) for a in scene.objects}
        pixels = cv2.imread(str(DEMO / split / stored['file_name'])).astype(int)
        assert np.abs(pixels - scene.image).mean() < 8  # JPEG and the noise it drops
    assert made['categories'] == committed['categories']


def test_every_fiftieth_training_scene_is_empty() -> None:
    assert scene_of('train', 49).objects == []
    assert len(scene_of('val', 1).objects) >= 2


@pytest.mark.parametrize('kind', KINDS, ids=lambda kind: kind.name)
def test_objects_fill_their_canvas(kind) -> None:
    colour, cover = render(kind, np.random.default_rng(0))
    rows, columns = np.nonzero(cover >= 0.5)
    assert max(np.ptp(rows), np.ptp(columns)) >= 200
    assert 0.2 < (cover >= 0.5).mean() < 0.9
    assert (colour <= cover[..., None] + 1e-6).all()
    assert 0.5 < LEAST_VISIBLE < 1
