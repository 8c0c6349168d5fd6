"""The convolutions made ready for inference: folded, and the same maps in another order."""

import torch
from torch import nn

from lighthead.deploy.dense import DenseNetwork

from ..small_detector import random_detector, small_config


def test_batch_norm_is_folded_and_the_maps_are_the_same():
    model = random_detector(small_config())
    dense = DenseNetwork(model)
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in dense.modules())
    images = torch.randn(2, 3, 96, 128)
    with torch.no_grad():
        maps = model.extract_feat(images)
        scores, deltas = model.rpn_head(maps)
        output = dense(images)
    by_bin = output.thin.view(2, 49, 10, *output.thin.shape[2:])
    pairs = [(output.scores[0], scores[0]), (output.boxes[0], deltas[0])]
    pairs += [(by_bin.transpose(1, 2).flatten(1, 2), maps[-1])]
    for found, expected in pairs:
        scale = expected.abs().max()
        torch.testing.assert_close(found / scale, expected / scale, atol=1e-5, rtol=0)
