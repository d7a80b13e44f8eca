"""FusedObjective: value and gradient in one pass over the rows, and no logits kept."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.probes.centred_rows import Design, row_blocks
from featstore.probes.line_sample import LineSample
from featstore.probes.loss import Loss, logits_like
from featstore.probes.objective import DIAGONAL_FROM, curvature_stride, dot


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one pass tells.

    Attributes
    ----------
    value
        Of the objective.
    gradient
        Shape (k, r + 1).
    curvature
        Mean Hessian in the logits, as of `featstore.probes.loss.Loss.curvature`; None unless
        asked for.
    """

    value: float
    gradient: Tensor
    curvature: Tensor | None


class FusedObjective:
    """The objective of `featstore.probes.objective.Objective` for more logits than memory.

    Every block of rows is multiplied, turned into residuals, and multiplied back while it is in
    memory: (n, k) logits never exist, and rows are read once per evaluation.  The price is that a
    line search has to pay for its trials.

    Parameters
    ----------
    design
        Shape (n, r).
    loss
        Over k columns.
    ridge
        As there.
    dtype
        Precision of parameters, logits and products.
    block_rows
        Rows of a block.
    """

    def __init__(
        self, design: Design, loss: Loss, ridge: float, *, dtype: torch.dtype, block_rows: int
    ) -> None:
        self.design, self.loss, self.ridge, self.dtype = design, loss, ridge, dtype
        self.passes = 0.0
        self._block_rows = min(block_rows, len(design))
        shape = torch.Size((self._block_rows, loss.n_columns))
        self._U, self._R = (logits_like(shape, dtype, design.device) for _ in range(2))

    def evaluate(self, theta: Tensor, *, curvature: bool = False) -> Evaluation:
        """Value, gradient and, if asked for, mean curvature at `theta`, (k, r + 1)."""
        n, k = len(self.design), self.loss.n_columns
        W, b = theta[:, :-1].contiguous(), theta[:, -1]
        total = torch.zeros((), dtype=torch.float64, device=theta.device)
        intercepts = torch.zeros(k, dtype=torch.float64, device=theta.device)
        G = torch.zeros_like(W)
        mean_hessian: Tensor | None = None
        stride = curvature_stride(self.loss)
        for rows, X in row_blocks(self.design, self._block_rows, self.dtype):
            U, R = self._U[: len(X)], self._R[: len(X)]
            torch.addmm(b, X, W.T, out=U)
            self.loss.anchor(U, rows)
            if curvature:
                part = self._hessian(U, rows, stride)
                if part is not None:
                    mean_hessian = part if mean_hessian is None else mean_hessian.add_(part)
            total += self.loss.residual(U, rows, out=R).sum(dtype=torch.float64)
            intercepts += R.sum(0, dtype=torch.float64)
            G.addmm_(R.T, X)
        self.passes += 1.0
        G.div_(n).add_(W, alpha=self.ridge)
        value = total.item() / n + 0.5 * self.ridge * dot(W, W)
        gradient = torch.cat([G, (intercepts / n).to(self.dtype)[:, None]], dim=1)
        return Evaluation(value, gradient, mean_hessian)

    def line_sample(self) -> LineSample:
        """Return as many rows as a block has, to look along lines at."""
        return LineSample(
            self.design, self.loss, self.ridge, dtype=self.dtype, n_rows=self._block_rows
        )

    def _hessian(self, U: Tensor, rows: slice, stride: int) -> Tensor | None:
        """Share of a block in the mean Hessian over every stride-th row."""
        first = -rows.start % stride
        sample = slice(rows.start + first, rows.stop, stride)
        chosen = U[first::stride]
        if not len(chosen):
            return None
        share = len(chosen) / len(range(0, len(self.design), stride))
        diagonal = self.loss.n_columns >= DIAGONAL_FROM
        return self.loss.curvature(chosen, sample, diagonal=diagonal).mul_(share)
