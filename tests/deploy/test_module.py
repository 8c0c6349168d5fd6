"""The detector's stages against mmdet's own prediction, in eager torch."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from lighthead.deploy.exportable_suppression import exportable_detector
from lighthead.deploy.model_settings import is_supported, read_settings
from lighthead.deploy.suppress_operator import suppress
from lighthead.deploy.topk import stable_topk
from lighthead.errors import UserError
from lighthead.inference.runtimes.torch_backend import EagerBackend, MmdetBackend, torch_backend
from lighthead.ops.nms import batched_nms_topk

from ..small_detector import random_detector, small_config

SIZES = [(128, 150), (110, 160), (128, 160)]


def images() -> torch.Tensor:
    batch = torch.randn(3, 3, 128, 160)
    for image, (height, width) in zip(batch, SIZES, strict=True):
        image[:, height:] = 0
        image[:, :, width:] = 0
    return batch


CPU = torch.device('cpu')


@pytest.mark.parametrize('form', ['torch', 'onnx'])
@pytest.mark.parametrize(
    ('mode', 'class_agnostic', 'score_thr'),
    [('max', True, 0.05), ('avg', True, 0.0), ('max', False, 0.1)],
)
def test_equals_mmdet(form, mode, class_agnostic, score_thr):
    model = random_detector(small_config(mode, class_agnostic, score_thr))
    batch = images()
    expected = MmdetBackend(deepcopy(model), CPU, 'fp32')(batch, SIZES)
    found = exportable_detector(model, form)(batch, torch.tensor(SIZES).float())
    assert found.num.sum() > 20
    for index, one in enumerate(expected):
        count = int(found.num[index])
        assert count == len(one.scores)
        np.testing.assert_allclose(found.scores[index, :count], one.scores, atol=1e-5)
        np.testing.assert_allclose(found.boxes[index, :count], one.boxes, atol=5e-3)
        np.testing.assert_array_equal(found.labels[index, :count], one.labels)
        assert (found.labels[index, count:] == -1).all()
        assert not found.boxes[index, count:].any()
        assert not found.scores[index, count:].any()


def test_shapes_are_fixed(detector_model):
    outputs = exportable_detector(detector_model)(
        torch.randn(2, 3, 64, 64), torch.full((2, 2), 64.0)
    )
    assert [tuple(values.shape) for values in outputs[:4]] == [
        (2, 100, 4),
        (2, 100),
        (2, 100),
        (2,),
    ]
    assert outputs.labels.dtype == outputs.num.dtype == torch.int64


def test_result_does_not_depend_on_the_other_images(detector_model):
    module = exportable_detector(detector_model)
    sizes = torch.tensor(SIZES).float()
    together = module(images_ := images(), sizes)
    alone = module(images_[1:2], sizes[1:2])
    for many, one in zip(together[:4], alone[:4], strict=True):
        torch.testing.assert_close(many[1], one[0], atol=1e-3, rtol=1e-4)


def test_the_model_is_left_as_it_was():
    model = random_detector(small_config())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    exportable_detector(model)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_suppression_equals_batched_nms():
    corners = torch.rand(2, 60, 2) * 50
    boxes = torch.cat((corners, corners + torch.rand(2, 60, 2) * 40 + 1), dim=2)
    scores = (torch.rand(2, 3, 60) * 20).round() / 20  # with ties
    kept = suppress(boxes, scores, 7, 0.4, 0.2)
    for image in range(2):
        for label in range(3):
            possible = (scores[image, label] > 0.2).nonzero().squeeze(1)
            order = batched_nms_topk(
                boxes[image][possible], scores[image, label][possible], None, 0.4, 7
            )
            mine = kept[(kept[:, 0] == image) & (kept[:, 1] == label), 2]
            assert mine.tolist() == sorted(possible[order].tolist())


def test_suppression_of_nothing():
    assert suppress(torch.rand(2, 5, 4), torch.zeros(2, 3, 5), 7, 0.4, 0.2).shape == (0, 3)


def test_topk_breaks_ties_by_index():
    scores = torch.tensor([[0.5, -1.0, 1.0, 0.5, 0.0, 1.0, -1.0, 0.0]])
    assert stable_topk(scores, 8).tolist() == [[2, 5, 0, 3, 4, 7, 1, 6]]


def test_low_thresholds_bound_the_candidates():
    model = random_detector(small_config(score_thr=0.0))
    settings = read_settings(model)
    assert settings.max_candidates is None  # 900 in all
    model.test_cfg.rpn.max_per_img = 3000
    assert read_settings(model).max_candidates == 5000


def test_other_detectors_are_refused():
    with pytest.raises(UserError, match='Only LightHeadRCNN'):
        read_settings(torch.nn.Identity())


@pytest.mark.parametrize(
    ('stage', 'nms'),
    [
        ('rcnn', dict(type='soft_nms', iou_threshold=0.5)),
        ('rcnn', dict(type='nms', iou_threshold=0.5, class_agnostic=True)),
        ('rpn', dict(type='nms', iou_threshold=0.7, max_num=10)),
    ],
)
def test_other_suppressions_are_left_to_mmdet(stage, nms):
    model = random_detector(small_config())
    assert type(torch_backend(deepcopy(model), CPU, 'fp32')) is EagerBackend
    model.test_cfg[stage].nms = nms
    assert not is_supported(model)
    with pytest.raises(UserError, match=f'{stage}.nms'):
        exportable_detector(model)
    assert type(torch_backend(model, CPU, 'fp32')) is MmdetBackend
