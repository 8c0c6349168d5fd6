"""From the thin map and the RoIs to one 10 x 7 x 7 map per RoI."""

from typing import Any

from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
from mmdet.registry import MODELS
from torch import Tensor, nn

from lighthead.ops.ps_roi_align import PSRoIAlign


@MODELS.register_module()
class PSRoIExtractor(BaseRoIExtractor):
    """Position-sensitive RoI align on the last of the feature maps (C4, thin map).

    Args:
        roi_layer: Arguments of :class:`lighthead.ops.PSRoIAlign` but its scale.
        out_channels: Channels after pooling (10).
        featmap_strides: Stride of the thin map, in a list of one.
        num_maps: How many feature maps the neck gives; the thin map is the last.
    """

    def __init__(self, *args: Any, num_maps: int = 2, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.num_maps = num_maps

    def build_roi_layers(self, layer_cfg: dict, featmap_strides: list[int]) -> nn.ModuleList:
        """mmdet would look for the layer in mmcv.ops, which has no PS-RoI align."""
        return nn.ModuleList(
            PSRoIAlign(spatial_scale=1 / stride, **layer_cfg) for stride in featmap_strides
        )

    @property
    def num_inputs(self) -> int:
        """Feature maps that :meth:`forward` is given."""
        return self.num_maps

    def forward(
        self, feats: tuple[Tensor, ...], rois: Tensor, roi_scale_factor: float | None = None
    ) -> Tensor:
        """Maps (C4, thin) and RoIs (K, 5) of (image, x1, y1, x2, y2) to (K, 10, 7, 7)."""
        if roi_scale_factor is not None:
            rois = self.roi_rescale(rois, roi_scale_factor)
        return self.roi_layers[0](feats[-1], rois)
