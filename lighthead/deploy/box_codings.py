"""Anchors and box codings, for files that hold the convolutions alone.

ONNX files and the like have them baked in. Nothing here needs torch.
"""

from typing import Annotated

from pydantic import Field

from lighthead.schema import Closed, Four, Pair, Share

Number = Annotated[float, Field(ge=-100_000, le=100_000)]


class AnchorLevel(Closed):
    """The anchors of one map: boxes around the origin, and (x, y) from place to place."""

    anchors: Annotated[list[Four[Number]], Field(min_length=1, max_length=256)]
    stride: Pair[Annotated[int, Field(ge=1, le=1024)]]


class DeltaCoding(Closed):
    """mmdet's ``DeltaXYWHBBoxCoder``; ``clip``: whether boxes end at the image's border."""

    means: Four[Number]
    stds: Four[Number]
    clip: bool


class DistanceCoding(Closed):
    """GFL's: distributions of the distances to the four sides over 0 to ``reg_max`` strides."""

    reg_max: Annotated[int, Field(ge=1, le=256)]
    clip: bool


class BoxCodings(Closed):
    """How maps become boxes and scores.

    Attributes:
        levels: Of the RPN.
        rpn: Of its boxes.
        second: Of the second stage's.
        rpn_weight: Share of the RPN's score in a detection's; None: class scores are a softmax
            whose last logit is the background's.
    """

    levels: Annotated[list[AnchorLevel], Field(min_length=1, max_length=8)]
    rpn: DeltaCoding | DistanceCoding
    second: DeltaCoding
    rpn_weight: Share | None = None
