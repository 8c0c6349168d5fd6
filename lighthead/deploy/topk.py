"""The largest scores in a defined order."""

import torch
from torch import Tensor


def stable_topk(scores: Tensor, count: int) -> Tensor:
    """Indices (B, count) of the ``count`` largest of ``scores`` (B, N >= count), float32.

    By (score descending, index ascending), which ``torch.topk`` does not promise: so the bits
    of the score, which order like the scores, and the index together make an integer key.
    """
    bits = scores.contiguous().view(torch.int32).long()
    bits = torch.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    falling = torch.arange(scores.shape[1] - 1, -1, -1, device=scores.device)
    return torch.topk((bits << 32) + falling, count, dim=1).indices
