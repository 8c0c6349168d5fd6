"""The detector with shapes that are known beforehand, for CUDA graphs."""

import torch
from torch import Tensor, nn

from lighthead.deploy.eager import EagerDetector
from lighthead.deploy.stages import ABSENT
from lighthead.ops.fixed_nms import fixed_nms

CANDIDATES = 1024
"""So many of an image's candidates (RoI, class) reach the last suppression."""


class FixedDetector(EagerDetector):
    """An :class:`EagerDetector` that can also run without looking at a value on the way.

    Every image has ``max_proposals`` RoIs and ``max_detections`` detections, some of them
    padding; suppression works on masks. So nothing waits for the device, and the whole
    computation can be recorded. Where its limits do not suffice, it says so, and
    :meth:`forward` has the answer.
    """

    def fixed(self, images: Tensor, sizes: Tensor) -> Tensor:
        """Detect, with outputs in one tensor, so that one transfer fetches them.

        Args:
            images: (B, 3, H, W), normalised and padded.
            sizes: (B, 2) float32, (height, width) without padding.

        Returns:
            (B, D + 1, 6) float32. Rows 0 to D - 1: x1, y1, x2, y2, score, label, best first.
            Row D: how many of them are detections; whether they are exact, 1 or 0; zeros.
        """
        s = self.settings
        logits, deltas, thin = self.maps(images)
        boxes, scores = self.candidates(logits, deltas, sizes)
        first = fixed_nms(boxes, scores > ABSENT, s.rpn_iou)
        rois, real = _first_kept(boxes, first.kept, s.max_proposals)
        scores, boxes = self._classified(thin, rois, real, sizes)
        rows, num, exact = self._suppressed(scores, boxes)
        last = torch.stack((num, exact & first.settled), dim=1).to(rows.dtype)
        last = nn.functional.pad(last, (0, rows.shape[2] - last.shape[1]))
        return torch.cat((rows, last[:, None]), dim=1)

    def _classified(
        self, thin: Tensor, rois: Tensor, real: Tensor, sizes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Scores (B, R, C), ABSENT where they do not count, and boxes (B, R, 1 or C, 4)."""
        s = self.settings
        batch, count = real.shape
        index = torch.arange(batch, device=rois.device, dtype=rois.dtype)
        index = index[:, None, None].expand(-1, count, -1)
        logits, deltas = self.classify(thin, torch.cat((index, rois), dim=2).flatten(0, 1))
        scores = logits.softmax(1)[:, :-1].view(batch, count, -1)
        scores = torch.where(real[:, :, None] & (scores > s.score_thr), scores, ABSENT)
        deltas = deltas.view(batch, count, -1, 4)
        return scores, self.box_decoder(rois[:, :, None], deltas, sizes[:, None, None])

    def _suppressed(self, scores: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows (B, D, 6) as of :meth:`fixed`, how many count (B,), and whether exact (B,)."""
        s = self.settings
        _, count, classes = scores.shape
        scores = scores.flatten(1)
        taken = min(CANDIDATES, count * classes)
        index = self.best(scores, taken)
        labels = index % classes
        place = index // classes if s.class_agnostic else index
        chosen = boxes.flatten(1, 2).gather(1, place[..., None].expand(-1, -1, 4))
        best_scores = scores.gather(1, index)
        second = fixed_nms(chosen.double(), best_scores > ABSENT, s.final_iou, labels)
        rows = torch.cat((chosen, best_scores[..., None], labels[..., None].float()), dim=2)
        rows, real = _first_kept(rows, second.kept, s.max_detections)
        num = real.sum(1)
        # Candidates that were left out count only where there is still room.
        complete = (scores > ABSENT).sum(1) <= taken
        exact = second.settled & (complete | (num == s.max_detections))
        return rows, num, exact


def _first_kept(rows: Tensor, kept: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first ``count`` kept of rows (B, N, V), padded with zeros: (B, count, V), (B, count)."""
    batch, _, width = rows.shape
    rank = kept.cumsum(1)
    slot = torch.where(kept & (rank <= count), rank - 1, count)
    placed = rows.new_zeros(batch, count + 1, width)
    placed = placed.scatter(1, slot[..., None].expand(-1, -1, width), rows)[:, :count]
    total = rank[:, -1:].clamp(max=count)
    return placed, torch.arange(count, device=rows.device) < total
