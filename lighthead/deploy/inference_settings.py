"""Test-time settings (NMS, box decoding, PS-RoI align), as they travel in exported files."""

from typing import Annotated, Literal

from pydantic import Field

from lighthead.checkpoint.light_head_spec import MAX_CLASSES
from lighthead.schema import Closed, Pair, Share

CANDIDATES_PER_DETECTION = 50
"""Where no useful score threshold bounds them, this many candidates per detection go on."""
LOW_THRESHOLD = 0.01
"""Above it, a RoI can have so few candidates that no cut is needed."""
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class InferenceSettings(Closed):
    """What happens between the convolutions and the detections.

    Attributes:
        nms_pre: How many anchors of a level become candidates for proposals.
        rpn_iou, max_proposals: Suppression of the candidates.
        min_size: Smallest side of a candidate, in pixels.
        score_thr, final_iou, max_detections: Suppression of the detections.
        num_classes: Without background.
        class_agnostic: Whether a RoI has one box, or one per class.
        bins, stride, sampling_ratio, mode: Of PS-RoI align.
        anchor_stride: Of the first map that anchors stand on.
        rpn_score_thr: Candidates for proposals have a higher score.
    """

    nms_pre: Count
    rpn_iou: Share
    max_proposals: Count
    min_size: Annotated[float, Field(ge=0, le=10_000)]
    score_thr: Share
    final_iou: Share
    max_detections: Count
    num_classes: Annotated[int, Field(ge=1, le=MAX_CLASSES)]
    class_agnostic: bool
    bins: Pair[Annotated[int, Field(ge=1, le=64)]]
    stride: Annotated[int, Field(ge=1, le=1024)]
    sampling_ratio: Annotated[int, Field(ge=1, le=64)]
    mode: Literal['avg', 'max']
    anchor_stride: Pair[Annotated[int, Field(ge=1, le=1024)]]
    rpn_score_thr: Annotated[float, Field(ge=-1, le=1)] = -1.0

    @property
    def max_candidates(self) -> int | None:
        """How many of an image's candidates (RoI, class) are suppressed; None: all."""
        if self.score_thr >= LOW_THRESHOLD:
            return None
        count = CANDIDATES_PER_DETECTION * self.max_detections
        return count if count < self.max_proposals * self.num_classes else None
