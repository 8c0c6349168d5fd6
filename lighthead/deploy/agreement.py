"""Do two runs of one detector agree? By matching detections, and explaining the others.

Rounding differs between runtimes. It moves boxes and scores a little, and where
a score lies on a threshold or an overlap on the limit of a suppression, it
decides. So detections are matched by class and IoU, and one without a match
must lie at such a limit.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torchvision.ops import box_iou

from lighthead.deploy.exportable import ExportableDetector

BOX_TOLERANCE = 0.05
"""Pixels."""
SCORE_TOLERANCE = 1e-4
LIMIT_TOLERANCE = 1e-4
"""How near to a threshold, a cut or a limit of IoU an unmatched detection must lie."""
LEAST_SCORE = 0.05
SHARE = 0.995


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
        told = (
            f'{self.matched} of {self.total} detections agree (boxes within '
            f'{self.box_error:.2g} px, scores within {self.score_error:.2g})'
        )
        if self.explained:
            told += f', {self.explained} lie at a threshold, a cut or a limit of suppression'
        return told + ''.join(f'; not explained: {text}' for text in self.unexplained[:3])


@dataclass
class Found:
    """Detections of one image: boxes (N, 4), scores (N,), labels (N,)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def __getitem__(self, index: Tensor) -> 'Found':
        return Found(self.boxes[index], self.scores[index], self.labels[index])

    def __len__(self) -> int:
        return len(self.scores)


@dataclass
class Candidates:
    """Everything that the two suppressions of one image choose from.

    Anchors' boxes (N, 4) and scores (N,), best first; the class scores (N, C)
    and boxes (N, C or 1, 4) that the second stage would give each of them.
    """

    proposals: Tensor
    objectness: Tensor
    scores: Tensor
    boxes: Tensor


@torch.inference_mode()
def all_candidates(module: ExportableDetector, images: Tensor, sizes: Tensor) -> list[Candidates]:
    """Run the second stage for every candidate of the first, of each image."""
    logits, deltas, thin = module.dense(images)
    proposals, objectness = module.candidates(logits, deltas, sizes)
    found = []
    for image, size in enumerate(sizes):
        rois = proposals[image]
        index = torch.full((len(rois),), image)
        cls_score, bbox_pred = module.head(module.pooling(thin, rois, index).flatten(1))
        per_roi = bbox_pred.view(len(rois), -1, 4)
        boxes = module.box_decoder(rois[:, None], per_roi, size[None, None])
        scores = cls_score.softmax(1)[:, :-1]
        found.append(Candidates(rois, objectness[image], scores, boxes))
    return found


def compare(
    module: ExportableDetector, reference: Found, other: Found, candidates: Candidates
) -> Agreement:
    """Compare two answers for one image, of which ``reference`` is torch's.

    Detections below :data:`LEAST_SCORE` need no partner, but may be one.
    """
    pairs = _match(reference, other)
    result = Agreement(total=int((reference.scores >= LEAST_SCORE).sum()))
    for left, right in pairs.items():
        if reference.scores[left] >= LEAST_SCORE:
            result.matched += 1
            box = (reference.boxes[left] - other.boxes[right]).abs().max()
            score = (reference.scores[left] - other.scores[right]).abs()
            result.box_error = max(result.box_error, float(box))
            result.score_error = max(result.score_error, float(score))
    lost = sorted(set(range(len(reference))) - pairs.keys())
    new = sorted(set(range(len(other))) - set(pairs.values()))
    full = len(reference) == module.settings.max_detections
    cut = float(reference.scores.min()) if full and len(reference) else None
    for side, indices, name in ((reference, lost, 'torch'), (other, new, 'runtime')):
        for index in indices:
            score = float(side.scores[index])
            if score < LEAST_SCORE:
                continue
            if _at_limit(module, side, index, candidates, cut):
                result.explained += 1
            else:
                box = [round(float(v), 2) for v in side.boxes[index]]
                text = f'only {name} has label {int(side.labels[index])} {score:.5f} at {box}'
                result.unexplained.append(text)
    return result


def _match(reference: Found, other: Found) -> dict[int, int]:
    """Pairs of one class within the tolerances, best IoU first."""
    if not len(reference) or not len(other):
        return {}
    near = (reference.boxes[:, None] - other.boxes[None]).abs().amax(2) <= BOX_TOLERANCE
    near &= (reference.scores[:, None] - other.scores[None]).abs() <= SCORE_TOLERANCE
    near &= reference.labels[:, None] == other.labels[None]
    overlap = box_iou(reference.boxes, other.boxes)
    places = near.nonzero()
    order = overlap[near].argsort(descending=True, stable=True)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for left, right in places[order].tolist():
        if left not in pairs and right not in taken:
            pairs[left] = right
            taken.add(right)
    return pairs


def _at_limit(
    module: ExportableDetector, side: Found, index: int, c: Candidates, cut: float | None
) -> bool:
    """Whether a detection, or the proposal it came from, lies at a limit."""
    s = module.settings
    score, label = side.scores[index], int(side.labels[index])
    limits = [LEAST_SCORE, s.score_thr, *([cut] if cut is not None else [])]
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
