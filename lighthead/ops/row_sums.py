"""Weighted sums of a table's rows, and the largest of several, with fast gradients on a CPU.

PS-RoI align (:mod:`lighthead.ops.ps_roi_align`) is made of them.
"""

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def sum_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums (N, C) of rows of a table (T, C); ``rows`` and ``weights`` are (N, R)."""
    if table.requires_grad and torch.is_grad_enabled():
        return _SumRows.apply(table, rows, weights)
    return F.embedding_bag(rows, table, mode='sum', per_sample_weights=weights)


def largest_sample(sums: Tensor) -> Tensor:
    """Maximum over the samples, (N, S, C) to (N, C)."""
    if sums.requires_grad and torch.is_grad_enabled():
        return _Largest.apply(sums)
    return functools.reduce(torch.maximum, sums.unbind(1))


class _SumRows(torch.autograd.Function):
    """The embedding bag with a backward that is an embedding bag too.

    Sorting the reads by table row turns the gradient into sums over the reads
    of each row: parallel, and the same bits in every run.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.table_rows = table.shape[0]
        return F.embedding_bag(rows, table, mode='sum', per_sample_weights=weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        rows, weights = ctx.saved_tensors
        sorted_rows, order = rows.flatten().sort(stable=True)
        every_row = torch.arange(ctx.table_rows + 1, device=rows.device, dtype=rows.dtype)
        starts = torch.searchsorted(sorted_rows, every_row)
        grad_table = F.embedding_bag(
            order // rows.shape[1],
            grad,
            starts,
            mode='sum',
            per_sample_weights=weights.flatten()[order],
            include_last_offset=True,
        )
        return grad_table, None, None


class _Largest(torch.autograd.Function):
    """Maximum over dim 1 whose gradient goes to the first of equal values."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor) -> Tensor:
        largest, *others = sums.unbind(1)
        winner = torch.zeros_like(largest, dtype=torch.uint8)
        for index, other in enumerate(others, start=1):
            winner = winner.masked_fill(other > largest, index)
            largest = torch.maximum(largest, other)
        ctx.save_for_backward(winner)
        ctx.samples = sums.shape[1]
        return largest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (winner,) = ctx.saved_tensors
        samples = torch.arange(ctx.samples, device=grad.device, dtype=winner.dtype)
        return torch.where(winner[:, None] == samples[:, None], grad[:, None], 0)
