"""Top-k accuracy."""

import pytest
import torch

from lighthead.evaluation import TopKAccuracy


def samples(scores: list[list[float]], labels: list[int]) -> list[dict]:
    return [dict(scores=torch.tensor(s), label=torch.tensor(t)) for s, t in zip(scores, labels)]


def test_counts_the_classes_above() -> None:
    metric = TopKAccuracy(topk=(1, 2))
    metric.process(None, samples([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]], [1, 2]))
    metric.process(None, samples([[0.6, 0.3, 0.1]], [2]))
    figures = metric.evaluate(3)
    assert figures == {
        'imagenet/top1': pytest.approx(100 / 3),
        'imagenet/top2': pytest.approx(200 / 3),
    }


def test_equal_scores_are_not_all_right() -> None:
    metric = TopKAccuracy(topk=(1,))
    metric.process(None, samples([[0.25] * 4] * 4, [0, 1, 2, 3]))
    assert metric.evaluate(4) == {'imagenet/top1': 25.0}
