"""The classifier that ImageNet pretraining trains, and the record of how it treats its images.

Label smoothing 0.1 as in the ShuffleNetV2 authors' training code (arXiv 1807.11164).
"""

from typing import Literal, overload

import torch.nn.functional as F
from mmdet.registry import HOOKS, MODELS
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor

from lighthead.models.classifier import ImageClassifier
from lighthead.weights.classifier_layer import load_last_layer
from lighthead.weights.layouts import recognise
from lighthead.weights.preprocessing import pretrained_checkpoint
from lighthead.weights.sources import META_KEY, WeightSource


@MODELS.register_module()
class PretrainingClassifier(ImageClassifier, BaseModel):
    """:class:`ImageClassifier` with a loss, for mmengine's runner.

    Where ``backbone.init_cfg`` names weights, ``fc`` is loaded from them too, if
    they include one for as many classes.

    Args:
        backbone: Config of a backbone; its last stage is classified.
        num_classes: Logits.
        dropout: See :class:`ImageClassifier`.
        label_smoothing: Part of the target that is spread over all classes.
        data_preprocessor: Normalises images that come in BGR, uint8.
        init_cfg: See mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        backbone: dict,
        num_classes: int = 1000,
        dropout: float = 0.0,
        label_smoothing: float = 0.1,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(backbone, num_classes, dropout, init_cfg)
        if data_preprocessor is not None:
            self.data_preprocessor = MODELS.build(data_preprocessor)
        self.label_smoothing = label_smoothing

    def init_weights(self) -> None:
        """Initialise, or load backbone and ``fc`` from the weights of ``backbone.init_cfg``."""
        super().init_weights()
        checkpoint = pretrained_checkpoint(dict(init_cfg=self.backbone.init_cfg))
        if checkpoint is not None:
            load_last_layer(self.fc, checkpoint)

    @overload
    def forward(
        self, inputs: Tensor, data_samples: Tensor | None = None, mode: Literal['tensor'] = 'tensor'
    ) -> Tensor: ...
    @overload
    def forward(
        self, inputs: Tensor, data_samples: Tensor, mode: Literal['loss']
    ) -> dict[str, Tensor]: ...
    @overload
    def forward(
        self, inputs: Tensor, data_samples: Tensor, mode: Literal['predict']
    ) -> list[dict[str, Tensor]]: ...
    def forward(
        self, inputs: Tensor, data_samples: Tensor | None = None, mode: str = 'tensor'
    ) -> Tensor | dict[str, Tensor] | list[dict[str, Tensor]]:
        """Normalised images (B, 3, H, W) and labels (B,).

        Returns:
            Logits (B, classes) for ``mode='tensor'``; ``loss`` and training
            ``accuracy`` in percent for 'loss'; scores and label of each image for 'predict'.
        """
        logits = super().forward(inputs)
        if mode == 'tensor':
            return logits
        assert data_samples is not None  # the runner gives the labels in every other mode
        logits = logits.float()
        if mode == 'loss':
            loss = F.cross_entropy(logits, data_samples, label_smoothing=self.label_smoothing)
            right = (logits.argmax(dim=1) == data_samples).float().mean()
            return dict(loss=loss, accuracy=100 * right)
        scores = logits.softmax(dim=1)
        return [dict(scores=s, label=t) for s, t in zip(scores.cpu(), data_samples.cpu())]


@HOOKS.register_module()
class PreprocessingMetaHook(Hook):
    """Writes into a checkpoint's ``meta`` what its backbone expects of images.

    With it, a detector that names the file in ``backbone.init_cfg`` takes colour
    order, mean, std and activation from there.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the description (:meth:`lighthead.weights.WeightSource.to_meta`)."""
        model = runner.bare_model
        images = model.data_preprocessor
        act_cfg = runner.cfg.model.backbone.get('act_cfg')
        source = WeightSource(
            name=runner.experiment_name,
            layout=recognise(model.backbone.state_dict()),
            color_order='rgb' if images._channel_conversion else 'bgr',
            mean=tuple(images.mean.flatten().tolist()),
            std=tuple(images.std.flatten().tolist()),
            act_cfg=dict(act_cfg) if act_cfg else None,
        )
        checkpoint['meta'][META_KEY] = source.to_meta()
