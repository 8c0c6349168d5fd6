"""What a checkpoint says of its detector: a closed, typed specification, as JSON.

A checkpoint used to carry its config, from which a registry built whatever it named. Now the
detector is built from :class:`Specification` alone: enumerated names, bounded numbers; no free
``type``, no path, no address, no dotted name. The training config travels next to it as a text
that nothing reads. The limits stand in ``docs/reliability.md``.

Adding an architecture takes one class (:mod:`lighthead.checkpoint.modern_spec` is an example):

1. A subclass of ``TwoStageSpec`` with ``type: Literal['MyDetector']`` and a field for each part,
   named and nested as in ``model`` of its config. A part is a :class:`~lighthead.schema.Closed`
   with a bounded field for each argument that shapes the network or its answers; ``Nms``,
   ``Backbone``, ``BoxCoder`` and others are there; the RoI head extends ``PooledRoiHead``, the
   test settings ``TestCfg``. What only training reads belongs to ``describe.TRAINING_ONLY``;
   ``loss_*`` does anyway.
2. Where a config says something in another form than the fields, override ``served`` (config to
   fields) and ``model_cfg`` (the way back).
3. Add it to :data:`SPECS` and :data:`Architecture`.

``tests/checkpoint/test_specification.py`` then checks it: each config of the project comes back
as the same network, and every argument of every backbone is served or for training only.
"""

from typing import Annotated, Any

from pydantic import Field, Strict, model_validator

from lighthead.checkpoint.light_head_spec import MAX_CLASSES, LightHeadSpec, TwoStageSpec
from lighthead.checkpoint.modern_spec import ModernSpec
from lighthead.checkpoint.preprocess_settings import PreprocessSettings
from lighthead.errors import UserError
from lighthead.schema import Closed, Share
from lighthead.weights.facts import EARLIER_KEY

META_KEY = 'specification'
"""Of a checkpoint's ``meta``."""
RECORD_KEY = 'config_record'
"""Of ``meta``: the training config as JSON, for people; nothing builds from it."""

SPECS: dict[str, type[TwoStageSpec]] = {
    'LightHeadRCNN': LightHeadSpec,
    'ModernLightHead': ModernSpec,
}
"""Every detector that a checkpoint may describe, by its type."""
Architecture = Annotated[LightHeadSpec | ModernSpec, Field(discriminator='type')]
"""The same as a type."""

ClassName = Annotated[str, Field(min_length=1, max_length=200, pattern=r'^[^\x00-\x1f\x7f]+$')]
CategoryId = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Names = Annotated[tuple[ClassName, ...], Strict(False), Field(min_length=1, max_length=MAX_CLASSES)]
Ids = Annotated[tuple[CategoryId | None, ...], Strict(False), Field(max_length=MAX_CLASSES)]


class Specification(Closed):
    """A detector, from an image to named boxes.

    Attributes:
        detector: The network and its test settings.
        preprocess: From an image to its input.
        classes: Name of each label.
        category_ids: Id of each label in COCO results; None where the data had none.
    """

    detector: Architecture
    preprocess: PreprocessSettings
    classes: Names
    category_ids: Ids

    @model_validator(mode='after')
    def _check_counts(self) -> 'Specification':
        counts = self.detector.num_classes, len(self.classes), len(self.category_ids)
        if len(set(counts)) > 1:
            raise ValueError(
                'the detector has {} classes, and there are {} class names and {} category '
                'ids'.format(*counts)
            )
        return self

    def model_cfg(self) -> dict[str, Any]:
        """The config to build the detector from: known types only, no weights, no training."""
        return dict(self.detector.model_cfg(), data_preprocessor=self.preprocess.to_preprocessor())

    def with_test_settings(
        self,
        score_thr: Share | None = None,
        nms_pre: int | None = None,
        img_scale: tuple[int, int] | None = None,
    ) -> 'Specification':
        """A checked copy with another threshold, number of proposals before NMS or image size."""
        data = self.model_dump()
        rpn, rcnn = (data['detector']['test_cfg'][name] for name in ('rpn', 'rcnn'))
        if score_thr is not None:
            rcnn['score_thr'] = float(score_thr)
        if nms_pre is not None:
            rpn.update(nms_pre=nms_pre, max_per_img=min(rpn['max_per_img'], nms_pre))
        if img_scale is not None:
            data['preprocess']['scale'] = tuple(img_scale)
        return Specification.parse(data, 'The test settings')


class ClassList(Closed):
    """The class names in a checkpoint's ``dataset_meta``, which mmdet's tools read too."""

    classes: Names


def read_classes(meta: dict[str, Any], path: object) -> tuple[str, ...]:
    """The class names that a checkpoint was trained on, of whatever detector.

    Raises:
        UserError: there are none.
    """
    data = meta.get('dataset_meta')
    names = data.get('classes') if isinstance(data, dict) else None
    return ClassList.parse(dict(classes=names), f'The dataset_meta in {path}').classes


def read_specification(meta: dict[str, Any], path: object) -> Specification:
    """The specification in a checkpoint's ``meta``.

    Raises:
        UserError: there is none, or it is refused.
    """
    text = meta.get(META_KEY)
    if text is None:
        earlier = ' (it was written by an earlier version)' if EARLIER_KEY in meta else ''
        raise UserError(
            f'{path} holds no specification of a detector{earlier}: Detector, infer and export '
            f'take a {" or ".join(SPECS)} that tools/train.py trained with parts of lighthead '
            'alone; use any other with its own config: tools/test.py CONFIG CHECKPOINT.'
        )
    return Specification.parse_json(text, f'The specification in {path}')
