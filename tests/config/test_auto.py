"""--auto: made data of different statistics give different settings, each with its reason."""

from argparse import Namespace

import pytest
from mmengine.config import Config

from lighthead.config.auto import Machine, apply_rules
from lighthead.config.data_figures import DataFigures, _cgroup, figures_of
from lighthead.config.flags import changes_of
from lighthead.config.read import read
from lighthead.engine.optimizer_steps import choose_steps
from lighthead.errors import UserError

from ..data.formats.builders import YOLO_LINE, write_image, write_text

NAME = 'finetune/lighthead_modern'
LARGE_MACHINE = Machine(memory=64 * 2**30)


def figures(**changes) -> DataFigures:
    """300 photographs of one class with boxes that are easily seen."""
    plain = dict(
        images=300,
        val_images=60,
        classes=('dog',),
        long_side=640,
        boxes=(0.2,) * 10,
        boxes_per_image=5,
    )
    return DataFigures(**(plain | changes))


def chosen(
    name: str = NAME, machine: Machine = LARGE_MACHINE, given=(), options=None, **changes
) -> Config:
    cfg = read(name).cfg
    cfg.auto_choices = apply_rules(cfg, figures(**changes), machine, given, options or {})
    return cfg


def transform(cfg: Config, kind: str, split: str = 'train') -> Config:
    pipeline = cfg[f'{split}_dataloader'].dataset.pipeline
    return next(t for t in pipeline if t.type == kind)


def line(cfg: Config, start: str) -> str:
    return next(line for line in cfg.auto_choices if line.startswith(start))


TINY = (0.02,) * 5 + (0.2,) * 5


@pytest.mark.parametrize(
    ('changes', 'size'),
    [
        (dict(), 416),
        (dict(long_side=4000), 416),
        (dict(boxes=(0.035,) * 5 + (0.2,) * 5, long_side=4000), 512),
        (dict(boxes=(0.026,) * 5 + (0.2,) * 5, long_side=4000), 640),
        (dict(boxes=TINY, long_side=4000), 640),
        (dict(boxes=TINY, long_side=420), 512),  # larger, the images would only be blown up
        (dict(boxes=TINY, long_side=200), 416),
    ],
)
def test_input_size_by_the_share_of_small_boxes(changes, size):
    cfg = chosen(**changes)
    for split in ('train', 'val', 'test'):
        assert transform(cfg, 'Resize', split).scale == (size, size)
    assert 'of the boxes are smaller than 16 pixels' in line(cfg, 'img_scale')


def test_small_objects_are_zoomed_in_on_and_kept():
    cfg = chosen(boxes=TINY)
    assert transform(cfg, 'RandomZoom').scaling_ratio_range == (0.8, 2.0)
    assert transform(cfg, 'FilterAnnotations').min_gt_bbox_wh == (2, 2)
    assert transform(chosen(), 'RandomZoom').scaling_ratio_range == (0.6, 1.5)
    assert transform(chosen(), 'FilterAnnotations').min_gt_bbox_wh == (4, 4)


def test_crowded_images_get_more_proposals_and_detections():
    cfg = chosen(boxes_per_image=90)
    assert cfg.model.test_cfg.rpn.max_per_img == 270
    assert cfg.model.test_cfg.rpn.nms_pre == 270
    assert cfg.model.test_cfg.rcnn.max_per_img == 200
    assert chosen().model.test_cfg == read(NAME).cfg.model.test_cfg


@pytest.mark.parametrize(
    ('classes', 'prob'),
    [(('left shoe', 'right shoe'), 0.0), (('Hand_Left',), 0.0), (('leftover', 'bright'), 0.5)],
)
def test_left_and_right_are_not_mirrored(classes, prob):
    assert transform(chosen(classes=classes), 'RandomFlip').prob == prob


@pytest.mark.parametrize(
    ('memory', 'gpu', 'images', 'size'),
    [
        (64, False, 300, 8),
        (64, False, 100_000, 8),
        (2, False, 300, 4),
        (0.1, False, 300, 1),
        (64, True, 300, 8),
        (64, True, 600, 16),
        (64, True, 5000, 32),
        (4, True, 5000, 8),
    ],
)
def test_batch_size_by_memory_and_images(memory, gpu, images, size):
    cfg = chosen(machine=Machine(memory * 2**30, gpu), images=images)
    assert cfg.train_dataloader.batch_size == size


def test_a_larger_input_or_width_takes_a_smaller_batch():
    machine = Machine(4 * 2**30)
    assert chosen(machine=machine).train_dataloader.batch_size == 8
    assert chosen(machine=machine, boxes=TINY).train_dataloader.batch_size == 2
    assert chosen(f'{NAME}_x2_0', machine=machine).train_dataloader.batch_size == 4


def test_steps_by_the_number_of_images():
    steps = [chosen(images=n).train_cfg.max_steps for n in (20, 100, 300, 1000, 10_000)]
    assert steps == [300, 600, 1039, 1897, 6000]
    assert chosen(images=10**6).train_cfg.max_steps == 30_000


def test_as_many_images_are_seen_whatever_the_step():
    two = chosen(machine=Machine(64 * 2**30, processes=2))
    assert two.train_cfg.max_steps == choose_steps(300, 16) < choose_steps(300)
    half = chosen(given=['batch_size'], options={'train_dataloader.batch_size': 4})
    assert half.train_cfg.max_steps == choose_steps(300, 4) > choose_steps(300)


def test_many_validation_images_are_looked_at_less_often():
    often, seldom = chosen(val_images=60), chosen(val_images=2000)
    assert often.train_cfg.val_steps == often.train_cfg.max_steps // 15
    assert seldom.train_cfg.val_steps == seldom.train_cfg.max_steps // 4


def test_a_recipe_of_epochs_gets_epochs():
    cfg = chosen('finetune/lighthead_shufflev2star_x0_5')
    assert cfg.train_cfg.max_epochs == round(choose_steps(300) * 8 / 300)
    assert cfg.param_scheduler[1].end == cfg.train_cfg.max_epochs


def test_what_is_given_is_left_alone_and_gone_by():
    options = {'train_cfg.max_steps': 50}
    cfg = chosen(given=['img_scale'], options=options, boxes=TINY, long_side=4000)
    assert transform(cfg, 'Resize').scale == (416, 416), 'the flag was applied before'
    assert cfg.train_cfg.max_steps == 'auto', '--cfg-options come later'
    assert line(cfg, 'img_scale') == 'img_scale: as given'
    assert line(cfg, 'train_cfg.max_steps') == 'train_cfg.max_steps: as given'


def test_an_option_that_fits_nothing_is_the_users_mistake():
    with pytest.raises(UserError, match='max_stepz'):
        chosen(options={'train_cfg.max_stepz': 50})


def test_figures_of_made_images():
    image = dict(id=1, width=400, height=200)
    boxes = [dict(image_id=1, bbox=[0, 0, 40, 10]), dict(image_id=1, bbox=[0, 0, 9, 9], iscrowd=1)]
    content = dict(
        images=[image, dict(id=2, width=100, height=800)],
        annotations=[*boxes, dict(image_id=1, bbox=[5, 5, 80, 80])],
        categories=[dict(id=3, name='cat')],
    )
    assert figures_of(content) == DataFigures(2, 0, ('cat',), 600, (0.05, 0.2), 2)


def test_the_whole_way_from_the_flag(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    for number in range(10):
        write_image(tmp_path / 'data' / f'{number}.jpg')
        write_text(tmp_path / 'data' / f'{number}.txt', f'0 {YOLO_LINE}')
    write_text(tmp_path / 'data' / 'classes.txt', 'cat')
    flags = dict(data_root=str(tmp_path / 'data'), val_fraction=0.3, auto=True, batch_size=2)
    options = ['randomness.seed=3']
    cfg = read(NAME, changes_of(Namespace(**flags, cfg_options=options))).cfg
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.train_cfg.max_steps == choose_steps(7, 2)
    assert line(cfg, 'train_dataloader.batch_size') == 'train_dataloader.batch_size: as given'
    assert 'auto_choices' in cfg.dump()
    assert 'auto_choices' not in read(NAME).cfg


def test_a_containers_limit(tmp_path):
    assert _cgroup(tmp_path) is None
    (tmp_path / 'memory.max').write_text('1000\n')
    (tmp_path / 'memory.current').write_text('400\n')
    (tmp_path / 'memory.stat').write_text('anon 300\ninactive_file 50\nactive_file 50\n')
    assert _cgroup(tmp_path) == 650
    (tmp_path / 'memory.max').write_text('max\n')
    assert _cgroup(tmp_path) is None
