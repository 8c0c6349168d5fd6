"""Light-Head R-CNN (arXiv 1711.07264), from an image to its boxes."""

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.registry import MODELS
from torch import Tensor

from lighthead.weights import check_preprocessor


@MODELS.register_module()
class LightHeadRCNN(TwoStageDetector):
    """backbone -> (C4, C5) -> large separable conv -> (C4, thin map) -> RPN on C4,
    PS-RoI align on the thin map -> one fc -> scores and boxes.

    The control flow is mmdet's two-stage detector; the parts are in ``models/``.
    """

    def init_weights(self) -> None:
        """Initialise every part; refuse preprocessing that differs from the weights'.

        Raises:
            UserError: if colour order, mean or std of ``data_preprocessor``
                are not those that the loaded weights were trained with.
        """
        super().init_weights()
        source = getattr(self.backbone, 'weight_source', None)
        if source is not None:
            check_preprocessor(source, self.data_preprocessor)

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """Images (B, 3, H, W) to C4 (B, C, H/16, W/16) and the thin map (B, 490, H/32, W/32).

        In channels-last memory, in which 1x1 and depthwise convolutions are faster.
        """
        return super().extract_feat(batch_inputs.contiguous(memory_format=torch.channels_last))
