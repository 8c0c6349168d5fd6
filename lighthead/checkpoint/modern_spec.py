"""The modern light-head detector as a specification; see ``lighthead.models.modern_light_head``."""

from typing import Annotated, Literal

from pydantic import Field

from lighthead.checkpoint.backbone_spec import Norm
from lighthead.checkpoint.light_head_spec import (
    MAX_LEVELS,
    Channels,
    FcHead,
    PooledRoiHead,
    PyramidAnchors,
    RoiExtractor,
    RpnTest,
    TestCfg,
    TwoStageSpec,
)
from lighthead.schema import Closed, Share, Triple
from lighthead.weights.facts import Activation


class ContextPanSpec(Closed):
    """:class:`lighthead.models.context_pan.ContextPAN`, with a thin map."""

    type: Literal['ContextPAN']
    in_channels: Triple[Channels] = (116, 232, 464)
    channels: Channels = 96
    context_channels: Channels = 128
    thin_channels: Channels = 245
    thin_level: Annotated[int, Field(ge=0, le=2)] = 0
    context: bool = True
    norm_cfg: Norm = Norm()
    act_cfg: Activation | None = None


class QualityRpnSpec(Closed):
    """:class:`lighthead.models.quality_rpn.QualityRPN` without classes."""

    type: Literal['QualityRPN']
    num_classes: Literal[1] = 1
    in_channels: Channels
    feat_channels: Channels = 256
    stacked_convs: Annotated[int, Field(ge=1, le=8)] = 4
    norm_cfg: Norm = Norm()
    act_cfg: Activation | None = None
    reg_max: Annotated[int, Field(ge=1, le=64)] = 16
    anchor_generator: PyramidAnchors


class PyramidExtractor(RoiExtractor):
    """:class:`lighthead.models.PSRoIExtractor` behind a pyramid."""

    num_maps: Annotated[int, Field(ge=1, le=MAX_LEVELS + 1)] = 2


class QualityBBoxHeadSpec(FcHead):
    """:class:`lighthead.models.quality_bbox_head.QualityBBoxHead`."""

    type: Literal['QualityBBoxHead']


class QualityRoiHeadSpec(PooledRoiHead):
    """:class:`lighthead.models.quality_roi_head.QualityRoIHead`."""

    type: Literal['QualityRoIHead']
    rpn_weight: Share = 0.5
    bbox_roi_extractor: PyramidExtractor
    bbox_head: QualityBBoxHeadSpec


class QualityRpnTest(RpnTest):
    """How proposals are chosen: by score too."""

    score_thr: Share = 0.0


class ModernTestCfg(TestCfg):
    """Test settings."""

    rpn: QualityRpnTest


class ModernSpec(TwoStageSpec):
    """:class:`lighthead.models.modern_light_head.ModernLightHead`."""

    type: Literal['ModernLightHead']
    neck: ContextPanSpec
    rpn_head: QualityRpnSpec
    roi_head: QualityRoiHeadSpec
    test_cfg: ModernTestCfg
