"""BlockMetric: the inverse Hessian in one block for each column, over the rows that have curvature.

Towards interpolation most rows are fitted so well that they have no curvature left, and those that
have are others for each class: no single Gram matrix is that of all classes, and the Kronecker
product of `featstore.probes.preconditioner` is a poor Hessian.  The block of column j,

    H_j = Σ_i w_ij x_i x_iᵀ / n + λI,    w_ij = p_ij (1 - p_ij),

is cheap there: few rows have nearly all of Σ_i w_ij.  They are taken as they are, the others as
their sum of w times the Gram matrix.  For sigmoids this is the whole Hessian.  A softmax couples
its columns: it does not notice what is added to all of them, and neither may its metric.  With Π,
which subtracts the mean over the columns, and D = diag(H_1 ... H_k) that is Π D⁻¹ Π.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.probes.inputs import blocks
from featstore.probes.objective import Objective
from featstore.probes.preconditioner import KroneckerMetric

_SHARE = 0.98  # of the curvature of a column, in the rows that are taken as they are
_GATHERED_ROWS = 2048


@dataclass(frozen=True, eq=False)
class CurvedRows:
    """The rows with nearly all curvature of one column.

    Attributes
    ----------
    index
        In ascending order, shape (m,).
    weights
        Their second derivatives, over n, shape (m,).
    rest
        Sum of those of all other rows, over n.
    """

    index: Tensor
    weights: Tensor
    rest: float

    @classmethod
    def of(cls, curvature: Tensor) -> CurvedRows:
        """Choose from second derivatives (n,) of the rows' losses.

        Examples
        --------
        >>> CurvedRows.of(torch.tensor([0.0, 0.2, 0.001, 0.1])).index
        tensor([1, 3])
        """
        n = len(curvature)
        ordered, index = curvature.sort(descending=True, stable=True)
        # On the CPU, where sums have an order.
        sums = ordered.double().cpu().cumsum(0)
        total = float(sums[-1])
        m = min(int((sums < _SHARE * total).sum()) + 1, n)
        index = index[:m].sort().values
        return cls(index, curvature[index] / n, (total - float(sums[m - 1])) / n)


class BlockMetric:
    """Inverse of the Hessian's blocks; applied in the eigenbasis of a Kronecker metric.

    Parameters
    ----------
    metric
        Whose eigenbasis, and whose intercepts.
    inverses
        Of the blocks, in the coordinates of the design, shape (k, r, r).
    coupled
        Whether what is added to all columns changes nothing.
    """

    def __init__(self, metric: KroneckerMetric, inverses: Tensor, *, coupled: bool) -> None:
        self._metric, self._inverses, self._coupled = metric, inverses, coupled

    @classmethod
    def of(
        cls, objective: Objective, metric: KroneckerMetric, columns: list[CurvedRows]
    ) -> BlockMetric | None:
        """Form and invert the blocks; None if rounding makes one of them indefinite.

        Parameters
        ----------
        objective
            Its design is a tensor.
        metric
            Of the same design.
        columns
            Rows of each column.
        """
        design, dtype = objective.resident, objective.dtype
        gram, r = metric.gram(), design.shape[1]
        inverses = torch.empty(len(columns), r, r, dtype=dtype, device=design.device)
        for inverse, rows in zip(inverses, columns, strict=True):
            H = gram * rows.rest
            roots = rows.weights.to(dtype).sqrt()[:, None]
            for part in blocks(len(rows.index), _GATHERED_ROWS):
                B = design[rows.index[part]].to(dtype).mul_(roots[part])
                H.addmm_(B.T, B)
            H.diagonal().add_(objective.ridge)
            factor, failed = torch.linalg.cholesky_ex(H)
            if failed:
                return None
            torch.cholesky_inverse(factor, out=inverse)
        return cls(metric, inverses, coupled=objective.loss.coupled)

    def apply(self, gradient: Tensor) -> Tensor:
        """Return the inverse Hessian times `gradient`, (k, r + 1); a new tensor."""
        weights = self._metric.from_eigenbasis(gradient)[:, :-1]
        if self._coupled:
            weights = weights - weights.mean(0)
        # A row times a matrix: the other way round is five times as slow.
        weights = torch.bmm(weights[:, None], self._inverses)[:, 0]
        if self._coupled:
            weights -= weights.mean(0)
        intercepts = self._metric.intercept_step(gradient[:, -1])
        return self._metric.to_eigenbasis(torch.cat([weights, intercepts[:, None]], dim=1))
