"""Class scores of a checkpoint with other classes: rows follow their names."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from torch import nn

from lighthead.engine.weights import load_weights, rows_by_class


@pytest.mark.parametrize('background', [0, 1])
def test_rows_follow_the_names_of_the_classes(background):
    given = torch.tensor([[1.0], [2.0], [3.0]])[: 2 + background].half()
    own = torch.tensor([[10.0], [20.0], [30.0], [40.0]])[: 3 + background]
    rows = rows_by_class(given, own, ['cat', 'person'], ['person', 'dog', 'cat'])
    expected = [2.0, 20.0, 1.0] + [3.0] * background
    assert rows.dtype == torch.float32
    assert rows.flatten().tolist() == expected


def test_a_layer_that_has_other_rows_is_left_as_it_is():
    given = torch.ones(4, 1)  # a box for each class, say
    assert rows_by_class(given, torch.ones(2, 1), ['cat'], ['dog']) is given
    wide = torch.ones(1, 3)
    assert rows_by_class(wide, torch.ones(1, 2), ['cat'], ['dog']) is wide


def test_one_class_of_another_name_starts_anew(tmp_path):
    """The shapes agree, so only the names tell a person from a bottle."""
    model = nn.Module()
    model.roi_head = nn.Module()
    model.roi_head.bbox_head = nn.Module()
    model.roi_head.bbox_head.fc_cls = nn.Linear(2, 1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    dataset = SimpleNamespace(metainfo=dict(classes=('bottle',), category_ids=(1,)))
    runner = SimpleNamespace(
        bare_model=model,
        train_dataloader=SimpleNamespace(dataset=dataset),
        logger=MMLogger.get_instance('class scores'),
        call_hook=lambda *args, **kwargs: None,
    )
    weights = {name: torch.full_like(value, 7.0) for name, value in before.items()}
    checkpoint = dict(meta=dict(dataset_meta=dict(classes=['person'])), state_dict=weights)
    load_weights(runner, checkpoint, 'people.pth', exact=False)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    checkpoint['meta']['dataset_meta']['classes'] = ['bottle']
    checkpoint['state_dict'] = {name: torch.full_like(v, 7.0) for name, v in before.items()}
    load_weights(runner, checkpoint, 'bottles.pth', exact=False)
    assert (model.roi_head.bbox_head.fc_cls.weight == 7.0).all()
