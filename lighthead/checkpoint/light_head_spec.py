"""Light-Head R-CNN (arXiv 1711.07264) as a specification: neck, RPN, PS-RoI, head, test settings.

Fields are named and nested as in a model's config, so that an error message names what its
author wrote, and :meth:`LightHeadSpec.model_cfg` is the way back. Every number is bounded; the
products that decide about memory are bounded too (``LIMITS`` in ``docs/reliability.md``).
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, model_validator

from lighthead.checkpoint.backbone_spec import Backbone
from lighthead.schema import Closed, Four, One, Pair, Share

MAX_CLASSES = 20_000
MAX_SCORES = 20_000_000
"""Proposals times classes: the score table of an image takes 80 MB then."""
MAX_ANCHORS = 64
"""Scales times ratios, at each position."""
MAX_LEVELS = 8

Channels = Annotated[int, Field(ge=1, le=4096)]
Stride = Annotated[int, Field(ge=1, le=128)]
Levels = Annotated[tuple[Stride, ...], Strict(False), Field(min_length=1, max_length=MAX_LEVELS)]
Bins = Annotated[int, Field(ge=1, le=15)]
Positive = Annotated[float, Field(gt=0, le=1024)]
Positives = Annotated[tuple[Positive, ...], Strict(False), Field(min_length=1, max_length=64)]


class BoxCoder(Closed):
    """mmdet's ``DeltaXYWHBBoxCoder``."""

    type: Literal['DeltaXYWHBBoxCoder']
    target_means: Four[Annotated[float, Field(ge=-10, le=10)]] = (0.0, 0.0, 0.0, 0.0)
    target_stds: Four[Annotated[float, Field(gt=0, le=10)]] = (1.0, 1.0, 1.0, 1.0)
    clip_border: bool = True
    add_ctr_clamp: bool = False
    ctr_clamp: Annotated[int, Field(ge=0, le=1024)] = 32


class PyramidAnchors(Closed):
    """mmdet's ``AnchorGenerator`` on several levels."""

    type: Literal['AnchorGenerator']
    strides: Levels
    ratios: Positives
    scales: Positives | None = None
    base_sizes: One[Positive] | None = None
    octave_base_scale: Positive | None = None
    scales_per_octave: Annotated[int, Field(ge=1, le=16)] | None = None
    center_offset: Share = 0.0
    scale_major: bool = True

    @model_validator(mode='after')
    def _check_scales(self) -> Self:
        octaves = self.octave_base_scale is not None and self.scales_per_octave is not None
        if (self.scales is not None) == octaves:
            raise ValueError('give scales, or octave_base_scale and scales_per_octave')
        if len(self.ratios) * (self.scales_per_octave or len(self.scales or ())) > MAX_ANCHORS:
            raise ValueError(f'more than {MAX_ANCHORS} anchors at each position')
        return self


class Anchors(PyramidAnchors):
    """The same on one level."""

    strides: One[Stride]


class Rpn(Closed):
    """:class:`lighthead.models.LightHeadRPN`; ``use_sigmoid`` is its ``loss_cls``'s."""

    type: Literal['LightHeadRPN']
    in_channels: Channels
    num_classes: Literal[1] = 1
    feat_channels: Channels = 256
    num_convs: Annotated[int, Field(ge=1, le=4)] = 1
    anchor_generator: Anchors
    bbox_coder: BoxCoder
    use_sigmoid: bool = True


class Neck(Closed):
    """:class:`lighthead.models.LargeSeparableConv`."""

    type: Literal['LargeSeparableConv']
    in_channels: Channels
    mid_channels: Channels = 64
    out_channels: Channels = 490
    kernel_size: Annotated[int, Field(ge=1, le=63)] = 15


class RoiLayer(Closed):
    """:class:`lighthead.ops.ps_roi_align.PSRoIAlign`."""

    output_size: Bins | Pair[Bins] = 7
    sampling_ratio: Annotated[int, Field(ge=1, le=8)] = 2
    mode: Literal['avg', 'max'] = 'avg'


class RoiExtractor(Closed):
    """:class:`lighthead.models.PSRoIExtractor`."""

    type: Literal['PSRoIExtractor']
    roi_layer: RoiLayer
    out_channels: Annotated[int, Field(ge=1, le=256)]
    featmap_strides: One[Stride]


class FcHead(Closed):
    """mmdet's ``ConvFCBBoxHead`` with one fc or several, of whatever class."""

    type: str
    num_shared_fcs: Annotated[int, Field(ge=1, le=4)]
    in_channels: Annotated[int, Field(ge=1, le=256)]
    roi_feat_size: Bins | Pair[Bins] = 7
    fc_out_channels: Channels = 1024
    num_classes: Annotated[int, Field(ge=1, le=MAX_CLASSES)]
    reg_class_agnostic: bool = False
    bbox_coder: BoxCoder


class BBoxHead(FcHead):
    """:class:`lighthead.models.LightHeadBBoxHead`."""

    type: Literal['LightHeadBBoxHead']


class PooledRoiHead(Closed):
    """A RoI head with PS-RoI align, of whatever class."""

    type: str
    bbox_roi_extractor: RoiExtractor
    bbox_head: FcHead


class RoiHead(PooledRoiHead):
    """:class:`lighthead.models.LightHeadRoIHead`."""

    type: Literal['LightHeadRoIHead']
    bbox_head: BBoxHead


class Nms(Closed):
    """mmcv's ``nms`` or ``soft_nms``."""

    type: Literal['nms', 'soft_nms'] = 'nms'
    iou_threshold: Share
    class_agnostic: bool = False
    sigma: Positive | None = None
    min_score: Share | None = None
    method: Literal['linear', 'gaussian', 'naive'] | None = None

    @model_validator(mode='after')
    def _check_soft(self) -> Self:
        for name in ('sigma', 'min_score', 'method'):
            if self.type == 'nms' and getattr(self, name) is not None:
                raise ValueError(f'nms has no {name}, soft_nms has')
        return self

    def to_cfg(self) -> dict[str, Any]:
        """As mmcv reads it; ``class_agnostic`` only where it is set."""
        cfg = self.model_dump(exclude_none=True)
        return cfg if self.class_agnostic else {k: cfg[k] for k in cfg if k != 'class_agnostic'}


class RpnTest(Closed):
    """How proposals are chosen."""

    nms_pre: Annotated[int, Field(ge=1, le=100_000)]
    max_per_img: Annotated[int, Field(ge=1, le=20_000)]
    nms: Nms
    min_bbox_size: Annotated[float, Field(ge=0, le=1024)] = 0


class RcnnTest(Closed):
    """How detections are chosen."""

    score_thr: Share
    max_per_img: Annotated[int, Field(ge=1, le=20_000)]
    nms: Nms


class TestCfg(Closed):
    """Test settings; an exported file's metadata may take them over."""

    rpn: RpnTest
    rcnn: RcnnTest


class TwoStageSpec(Closed):
    """What all detectors of this kind share: which backbone, how many scores, the way back."""

    type: str
    backbone: Backbone
    roi_head: PooledRoiHead
    test_cfg: TestCfg

    @model_validator(mode='after')
    def _check_scores(self) -> Self:
        proposals, classes = self.test_cfg.rpn.max_per_img, self.num_classes
        if proposals * classes > MAX_SCORES:
            raise ValueError(
                f'{proposals} proposals of {classes} classes make more than {MAX_SCORES} scores'
            )
        return self

    @property
    def num_classes(self) -> int:
        """Classes without background."""
        return self.roi_head.bbox_head.num_classes

    @classmethod
    def served(cls, model_cfg: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
        """What of a model's config is specified.

        Args:
            model_cfg: The config without what only training reads.
            raw: The config as it is.
        """
        return model_cfg

    def model_cfg(self) -> dict[str, Any]:
        """The config to build the detector from, without ``data_preprocessor``."""
        cfg = self.model_dump(exclude_none=True)
        cfg['test_cfg']['rpn']['nms'] = self.test_cfg.rpn.nms.to_cfg()
        cfg['test_cfg']['rcnn']['nms'] = self.test_cfg.rcnn.nms.to_cfg()
        return cfg


class LightHeadSpec(TwoStageSpec):
    """:class:`lighthead.models.LightHeadRCNN`."""

    type: Literal['LightHeadRCNN']
    neck: Neck
    rpn_head: Rpn
    roi_head: RoiHead

    @classmethod
    def served(cls, model_cfg: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
        """``use_sigmoid`` of the RPN's loss decides how many logits an anchor has."""
        loss = (raw.get('rpn_head') or {}).get('loss_cls') or dict(use_sigmoid=True)
        rpn = dict(model_cfg.get('rpn_head') or {}, use_sigmoid=bool(loss.get('use_sigmoid')))
        return dict(model_cfg, rpn_head=rpn)

    def model_cfg(self) -> dict[str, Any]:
        """See :meth:`TwoStageSpec.model_cfg`."""
        cfg = super().model_cfg()
        use_sigmoid = cfg['rpn_head'].pop('use_sigmoid')
        cfg['rpn_head']['loss_cls'] = dict(type='CrossEntropyLoss', use_sigmoid=use_sigmoid)
        return cfg
