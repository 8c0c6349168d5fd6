"""A region proposal network that leaves its proposals with the images, so that recall is known."""

from typing import TYPE_CHECKING

from mmdet.structures import SampleList
from mmdet.utils import InstanceList
from torch import Tensor

if TYPE_CHECKING:
    from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
else:
    BaseDenseHead = object


class ProposalRecord(BaseDenseHead):
    """Base class, placed before mmdet's head, that notes a two-stage detector's proposals.

    Each data sample gets ``rpn_proposals`` with ``bboxes`` (P, 4) in pixels of the network's
    input; :class:`lighthead.evaluation.coco_metric.CocoDetMetric` computes their recall.
    """

    def predict(
        self, x: tuple[Tensor, ...], batch_data_samples: SampleList, rescale: bool = False
    ) -> InstanceList:
        """As mmdet's heads; proposals are asked for with ``rescale=False``."""
        proposals = super().predict(x, batch_data_samples, rescale=rescale)
        if not rescale:
            for sample, instances in zip(batch_data_samples, proposals, strict=True):
                sample.rpn_proposals = instances
        return proposals
