"""The backbones that a checkpoint may name, one class each, with the arguments that are served.

A class lists what shapes the network. What only training reads (``frozen_stages``,
``norm_eval``, ``with_cp``, ``init_cfg``) is dropped from a config by
:data:`lighthead.checkpoint.describe.TRAINING_ONLY`. Which widths there are is the backbone's own
knowledge: it refuses others.
"""

from typing import Annotated, Literal

from pydantic import Field, Strict

from lighthead.schema import Closed
from lighthead.weights.facts import Activation

Width = Annotated[float, Field(ge=0.01, le=4)]
Indices = Annotated[
    tuple[Annotated[int, Field(ge=0, le=7)], ...], Strict(False), Field(min_length=1, max_length=8)
]


class Norm(Closed):
    """Batch norm; SyncBN has the same weights and computes the same when it is evaluated."""

    type: Literal['BN', 'SyncBN'] = 'BN'
    eps: Annotated[float, Field(ge=1e-8, le=1)] = 1e-5


class BackboneSpec(Closed):
    """What all backbones share; see :class:`lighthead.models.backbones.StagedBackbone`."""

    out_indices: Indices = (0, 1, 2)
    norm_cfg: Norm = Norm()
    act_cfg: Activation | None = None


class ShuffleNetV2Spec(BackboneSpec):
    """:class:`lighthead.models.backbones.ShuffleNetV2` and its two variants."""

    type: Literal['ShuffleNetV2', 'AuthorsShuffleNetV2', 'ShuffleNetV2SE']
    widen_factor: Width = 1.0
    star: bool = False
    dilated_stage4: bool = False
    with_conv5: bool = True


class LargeShuffleNetV2Spec(BackboneSpec):
    """:class:`lighthead.models.backbones.LargeShuffleNetV2`."""

    type: Literal['LargeShuffleNetV2']
    depth: Literal[50, 164] = 50


class ShuffleNetV1Spec(BackboneSpec):
    """:class:`lighthead.models.backbones.ShuffleNetV1`."""

    type: Literal['ShuffleNetV1']
    widen_factor: Width = 1.0


class LargeShuffleNetV1Spec(BackboneSpec):
    """:class:`lighthead.models.backbones.LargeShuffleNetV1`."""

    type: Literal['LargeShuffleNetV1']


class MatchedSpec(BackboneSpec):
    """Networks that may be matched to the paper's complexity: LightXception, StagedMobileNetV2."""

    type: Literal['LightXception', 'StagedMobileNetV2']
    widen_factor: Width = 1.0
    matched: bool = True


Backbone = Annotated[
    ShuffleNetV2Spec
    | LargeShuffleNetV2Spec
    | ShuffleNetV1Spec
    | LargeShuffleNetV1Spec
    | MatchedSpec,
    Field(discriminator='type'),
]
"""Every backbone that is served."""
