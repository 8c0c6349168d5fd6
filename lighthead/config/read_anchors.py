"""The anchors of a config, and the images as its training pipeline makes them."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from mmdet.registry import DATASETS, TASK_UTILS
from mmengine.registry import DefaultScope

from lighthead.config.flags import set_data_root
from lighthead.config.image_scale import set_img_scale
from lighthead.config.read import read
from lighthead.data.health.anchors import Anchors
from lighthead.errors import UserError


def config_anchors(name: str, img_scale: tuple[int, int] | None = None) -> Anchors:
    """The anchors of the RPN of a config, and the size of its test images.

    Raises:
        UserError: it has no RPN with anchors, or scales its images in no fixed way.
    """
    cfg = read(name, [partial(set_img_scale, value=img_scale)] if img_scale else []).cfg
    generator = cfg.model.get('rpn_head', {}).get('anchor_generator')
    pipeline = cfg.test_dataloader.dataset.pipeline
    scale = next((step.scale for step in pipeline if step.type == 'Resize'), None)
    if generator is None or scale is None:
        raise UserError(f'{name} has no anchors that boxes could be compared with.')
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = TASK_UTILS.build(generator)
    levels = [
        (stride[0], base.numpy().astype(float))
        for stride, base in zip(built.strides, built.base_anchors, strict=True)
    ]
    return Anchors(name, tuple(scale), levels)


def training_images(
    name: str, root: str, count: int, seed: int, classes: list[str]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images of the train split as a config augments them: pixels, boxes (N, 4), labels (N,).

    Args:
        seed: Of the choice and of the augmentation.
        classes: Emptied, and filled with the names of the labels.
    """
    cfg = read(name, [partial(set_data_root, value=root)]).cfg
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if not getattr(dataset, 'accepts_epoch', False):
        raise UserError(f'{name} trains on a data set of another project: it cannot be shown.')
    dataset.seed = seed
    classes[:] = dataset.metainfo['classes']
    order = np.random.default_rng(seed).permutation(len(dataset))[:count]
    for index in order.tolist():
        packed = dataset[0, index]
        instances = packed['data_samples'].gt_instances
        pixels = packed['inputs'].permute(1, 2, 0).numpy()
        boxes = getattr(instances.bboxes, 'tensor', instances.bboxes)
        yield np.ascontiguousarray(pixels), boxes.numpy(), instances.labels.numpy()
