"""Top-1 and top-5 accuracy of a classifier."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from torch import Tensor


@METRICS.register_module()
class TopKAccuracy(BaseMetric):
    """Part of the images, in percent, whose class is among the k of highest score.

    Args:
        topk: The values of k.
        kwargs: As mmengine's BaseMetric.
    """

    default_prefix = 'imagenet'

    def __init__(self, topk: Sequence[int] = (1, 5), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.topk = tuple(topk)

    def process(self, data_batch: object, data_samples: Sequence[Mapping[str, Tensor]]) -> None:
        """Note the rank of each image's class by its score, 0 being the best.

        Args:
            data_samples: Per image ``scores`` (classes,) and ``label`` (scalar).
        """
        for sample in data_samples:
            scores = sample['scores']
            best = scores.topk(min(max(self.topk), len(scores))).indices.tolist()
            label = int(sample['label'])
            self.results.append(best.index(label) if label in best else len(scores))

    def compute_metrics(self, results: Sequence[int]) -> dict[str, float]:
        """``top1``, ``top5``, ... of all images, which mmengine gathered from all processes."""
        return {f'top{k}': 100 * sum(r < k for r in results) / len(results) for k in self.topk}
