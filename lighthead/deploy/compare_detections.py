"""Whether two runs of one detector agree: detections are matched, the others explained.

Rounding differs between runtimes. It moves boxes and scores a little, and where
a score lies on a threshold or an overlap on the limit of a suppression, it
decides. So detections are matched by class and IoU, and one without a match
must lie at such a limit.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_iou

from lighthead.deploy.stages import DetectorStages, Outputs, Rois

BOX_TOLERANCE = 0.05
"""Pixels."""
SCORE_TOLERANCE = 1e-4
LIMIT_TOLERANCE = 1e-4
"""How near to a threshold, a cut or a limit of IoU an unmatched detection must lie."""
LEAST_SCORE = 0.05
SHARE = 0.9
"""So many must match even where rounding explains the others: a detector that is barely trained
has scores that are nearly equal, so that rounding decides which are among the best."""


@dataclass
class Agreement:
    """How many detections of the reference were found again, and what is left on both sides."""

    total: int = 0
    matched: int = 0
    explained: int = 0
    unexplained: list[str] = field(default_factory=list)
    box_error: float = 0.0
    score_error: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether enough matched and nothing is unexplained."""
        return self.matched >= SHARE * self.total and not self.unexplained

    def add(self, other: 'Agreement') -> None:
        """Count another image in."""
        self.total += other.total
        self.matched += other.matched
        self.explained += other.explained
        self.unexplained += other.unexplained
        self.box_error = max(self.box_error, other.box_error)
        self.score_error = max(self.score_error, other.score_error)

    def __str__(self) -> str:
        text = (
            f'{self.matched} of {self.total} detections agree (boxes within '
            f'{self.box_error:.2g} px, scores within {self.score_error:.2g})'
        )
        if self.explained:
            text += f', {self.explained} lie at a threshold, a cut or a limit of suppression'
        return text + ''.join(f'; not explained: {one}' for one in self.unexplained[:3])


class ImageDetections(NamedTuple):
    """Detections of one image: boxes (N, 4), scores (N,), labels (N,)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    @classmethod
    def of_outputs(cls, outputs: Outputs, image: int) -> 'ImageDetections':
        """Those of one image of a batch, without padding."""
        count = int(outputs.num[image])
        return cls(*(values[image, :count] for values in outputs[:3]))


@dataclass
class ImageCandidates:
    """Everything that the two suppressions of one image choose from.

    Anchors' boxes (N, 4) and scores (N,), best first; the class scores (N, C)
    and boxes (N, C or 1, 4) that the second stage would give each of them.
    """

    proposals: Tensor
    objectness: Tensor
    scores: Tensor
    boxes: Tensor


@torch.inference_mode()
def all_candidates(module: DetectorStages, images: Tensor, sizes: Tensor) -> list[ImageCandidates]:
    """Run the second stage for every candidate of the first, of each image."""
    maps = module.dense_maps(images)
    proposals, objectness = module.candidates(
        maps.scores, maps.boxes, sizes, module.suppression.topk
    )
    by_image = []
    for image, (boxes, scores) in enumerate(zip(proposals, objectness, strict=True)):
        index = torch.full((len(boxes),), image)
        rois = Rois(boxes, scores.clamp(min=0), index, index)
        by_image.append(ImageCandidates(boxes, scores, *module.classify(maps.thin, rois, sizes)))
    return by_image


def compare(
    module: DetectorStages,
    reference: ImageDetections,
    other: ImageDetections,
    candidates: ImageCandidates,
    least_score: float = LEAST_SCORE,
) -> Agreement:
    """Compare two answers for one image, of which ``reference`` is torch's.

    Detections below ``least_score`` need no partner, but may be one.
    """
    pairs = _match(reference, other)
    result = Agreement(total=int((reference.scores >= least_score).sum()))
    for left, right in pairs.items():
        if reference.scores[left] >= least_score:
            result.matched += 1
            box = (reference.boxes[left] - other.boxes[right]).abs().max()
            score = (reference.scores[left] - other.scores[right]).abs()
            result.box_error = max(result.box_error, float(box))
            result.score_error = max(result.score_error, float(score))
    lost = sorted(set(range(len(reference.scores))) - pairs.keys())
    new = sorted(set(range(len(other.scores))) - set(pairs.values()))
    full = len(reference.scores) == module.settings.max_detections
    limits = [least_score, module.settings.score_thr]
    if full and len(reference.scores):
        limits.append(float(reference.scores.min()))
    for side, indices, name in ((reference, lost, 'torch'), (other, new, 'runtime')):
        for index in indices:
            value = float(side.scores[index])
            if value < least_score:
                continue
            if _at_limit(module, side, index, candidates, limits):
                result.explained += 1
            else:
                corners = [round(float(v), 2) for v in side.boxes[index]]
                text = f'only {name} has label {int(side.labels[index])} {value:.5f} at {corners}'
                result.unexplained.append(text)
    return result


def _match(reference: ImageDetections, other: ImageDetections) -> dict[int, int]:
    """Pairs of one class within the tolerances, best IoU first."""
    if not len(reference.scores) or not len(other.scores):
        return {}
    near = (reference.boxes[:, None] - other.boxes[None]).abs().amax(2) <= BOX_TOLERANCE
    near &= (reference.scores[:, None] - other.scores[None]).abs() <= SCORE_TOLERANCE
    near &= reference.labels[:, None] == other.labels[None]
    overlap = box_iou(reference.boxes, other.boxes)
    possible = near.nonzero()
    order = overlap[near].argsort(descending=True, stable=True)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for left, right in possible[order].tolist():
        if left not in pairs and right not in taken:
            pairs[left] = right
            taken.add(right)
    return pairs


def _at_limit(
    module: DetectorStages,
    side: ImageDetections,
    index: int,
    c: ImageCandidates,
    limits: list[float],
) -> bool:
    """Whether a detection, or the proposal it came from, lies at a limit."""
    s = module.settings
    score, label = side.scores[index], int(side.labels[index])
    if any(abs(float(score) - limit) <= LIMIT_TOLERANCE for limit in limits):
        return True
    boxes = c.boxes[:, 0 if c.boxes.shape[1] == 1 else label]
    scores = c.scores[:, label]
    source = (boxes - side.boxes[index]).abs().amax(1) <= BOX_TOLERANCE
    source &= (scores - score).abs() <= SCORE_TOLERANCE
    possible = scores > s.score_thr
    for candidate in source.nonzero().flatten().tolist():
        if _near_suppression(boxes, scores, candidate, s.final_iou, possible):
            return True
        if _near_suppression(c.proposals, c.objectness, candidate, s.rpn_iou, c.objectness >= 0):
            return True
        if abs(float(c.objectness[candidate] - c.objectness[-1])) <= LIMIT_TOLERANCE:
            return True
    return False


def _near_suppression(
    boxes: Tensor, scores: Tensor, index: int, iou_threshold: float, possible: Tensor
) -> bool:
    """Whether a box's survival hangs on rounding: an overlap at the limit, or, among boxes
    that suppress one another, scores that are nearly equal."""
    overlap = box_iou(boxes[index : index + 1], boxes)[0]
    overlap[index] = 0
    at_limit = (overlap - iou_threshold).abs() <= LIMIT_TOLERANCE
    equal = (scores - scores[index]).abs() <= LIMIT_TOLERANCE
    return bool((possible & (at_limit | (equal & (overlap > iou_threshold)))).any())
