"""The modern light-head detector: two stages on a pyramid, and a teacher while it trains."""

from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor, nn

from lighthead.models.light_head_rcnn import LightHeadRCNN


@MODELS.register_module()
class ModernLightHead(LightHeadRCNN):
    """backbone -> (C3, C4, C5) -> ContextPAN -> levels and thin map -> QualityRPN on the levels,
    PS-RoI align on the thin map -> one fc -> scores and boxes.

    Attributes:
        teachers: Empty, or one network that :class:`lighthead.engine.TeacherHook` put there; in a
            list, so that it is no part of the model's weights.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.teachers: list[nn.Module] = []

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict:
        """mmdet's losses, and those against the teacher's outputs where there is one."""
        for teacher in self.teachers:
            outputs = teacher(batch_inputs)
            for sample, output in zip(batch_data_samples, outputs, strict=True):
                sample.teacher = output
        return super().loss(batch_inputs, batch_data_samples)
