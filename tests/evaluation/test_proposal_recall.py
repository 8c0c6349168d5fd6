"""The recall of proposals: against boxes worked out by hand, and in the metric of a validation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import METRICS, MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from lighthead.evaluation.proposal_recall import count_recalled, proposal_recall

OBJECT = [0, 0, 10, 10]


@pytest.mark.parametrize(
    ('proposals', 'expected'),
    [
        ([], [0, 0]),
        ([[0, 0, 10, 10]], [1, 1]),
        ([[0, 0, 10, 8]], [1, 1]),  # IoU 0.8
        ([[0, 0, 10, 6]], [1, 0]),  # IoU 0.6
        ([[0, 0, 10, 5]], [1, 0]),  # IoU 0.5 exactly
        ([[0, 0, 10, 4], [5, 5, 20, 20]], [0, 0]),
        ([[0, 0, 10, 4], [0, 0, 10, 10]], [1, 1]),  # the best one counts
    ],
)
def test_counts(proposals: list, expected: list[int]) -> None:
    boxes = np.array(proposals, dtype=float).reshape(-1, 4)
    assert count_recalled(boxes, np.array([OBJECT], dtype=float)) == expected
    assert count_recalled(boxes, np.zeros((0, 4))) == [0, 0]


def test_recall_of_several_images() -> None:
    assert proposal_recall([[2, 1], [0, 0]], 4) == dict(rpn_recall_50=0.5, rpn_recall_75=0.25)
    assert proposal_recall([[0, 0]], 0) == dict(rpn_recall_50=-1.0, rpn_recall_75=-1.0)


def sample(img_id: int, proposals: list[list[float]]) -> dict:
    """As validation hands it on; the network's input has half the size of the image."""
    none = dict(bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0))
    return dict(
        img_id=img_id,
        ori_shape=(40, 40),
        scale_factor=(0.5, 0.5),
        pred_instances=none,
        rpn_proposals=dict(bboxes=torch.tensor(proposals)),
    )


def test_the_metric_reports_it(tmp_path: Path) -> None:
    """Two cats and a crowd that does not count; one cat is proposed, in the input's pixels."""
    boxes = [(1, [0, 0, 10, 10], 0), (1, [20, 20, 10, 10], 0), (2, [0, 0, 30, 30], 1)]
    annotations = [
        dict(id=n, image_id=i, category_id=1, bbox=b, area=b[2] * b[3], iscrowd=c)
        for n, (i, b, c) in enumerate(boxes, 1)
    ]
    images = [dict(id=i, file_name=f'{i}.jpg', width=40, height=40) for i in (1, 2)]
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='cat')])
    (tmp_path / 'val.json').write_text(json.dumps(content))
    metric = METRICS.build(dict(type='CocoDetMetric', ann_file=str(tmp_path / 'val.json')))
    metric.dataset_meta = dict(classes=('cat',))
    metric.process({}, [sample(1, [[10.0, 10, 15, 15]]), sample(2, [[0.0, 0, 15, 15]])])
    figures = metric.evaluate(2)
    assert figures['coco/rpn_recall_50'] == 0.5
    assert figures['coco/rpn_recall_75'] == 0.5


def test_the_network_leaves_its_proposals_with_the_image() -> None:
    test_cfg = ConfigDict(
        nms_pre=50, max_per_img=5, min_bbox_size=0, nms=dict(type='nms', iou_threshold=0.7)
    )
    anchors = dict(type='AnchorGenerator', scales=[2, 4], ratios=[1.0], strides=[16])
    head = MODELS.build(
        dict(
            type='LightHeadRPN',
            in_channels=8,
            feat_channels=8,
            anchor_generator=anchors,
            test_cfg=test_cfg,
        )
    )
    image = DetDataSample(metainfo=dict(img_shape=(64, 64), scale_factor=(1.0, 1.0)))
    proposals = head.predict((torch.rand(1, 8, 4, 4),), [image])
    assert isinstance(image.rpn_proposals, InstanceData)
    assert torch.equal(image.rpn_proposals.bboxes, proposals[0].bboxes)
    assert 0 < len(image.rpn_proposals) <= 5
