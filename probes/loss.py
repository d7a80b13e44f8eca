"""Loss: softmax or independent sigmoids over the margins of linear logits.

Everything the solver asks of a loss goes through *margins*: logits relative to the truth.  For a
softmax the margin of class j is z_j - z_y, for a sigmoid it is (1 - 2y) z; a loss is a function
of the margins alone, zero in the limit of -inf.  Losses and residuals of rows that are fitted
well then keep their relative precision in float32, where p_y - 1 and log(sum) - z_y lose all
digits, and a line search needs no targets.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

CLASS_MAJOR_BELOW = 64  # columns; below, reductions over classes want the rows contiguous


class Loss(Protocol):
    """A convex loss per row, over margins U (n, k); `rows` says which rows a block holds."""

    @property
    def n_samples(self) -> int:
        """Rows, n."""
        ...

    @property
    def n_columns(self) -> int:
        """Columns of logits, k."""
        ...

    @property
    def prevalence(self) -> Tensor:
        """Mean of each target column, shape (k,), float64."""
        ...

    def anchor(self, Z: Tensor, rows: slice) -> None:
        """Turn logits, or a direction of logits, into margins, in place."""
        ...

    def residual(self, U: Tensor, rows: slice, *, out: Tensor) -> Tensor:
        """Write dloss/dlogits to `out` (b, k) and return the losses of the rows, shape (b,)."""
        ...

    def along(self, U: Tensor, V: Tensor, step: float) -> tuple[Tensor, Tensor]:
        """First and second derivative in `step` of the rows' losses at U + step V, (b,) each."""
        ...

    def curvature(self, U: Tensor, *, diagonal: bool) -> Tensor:
        """Mean Hessian of the loss in the logits: (k, k), or (k,) if it is or may be diagonal."""
        ...

    def start(self) -> Tensor:
        """Return the intercepts that are optimal for zero weights, shape (k,), float64."""
        ...


class Softmax:
    """Cross-entropy of a softmax over k >= 3 columns.

    Parameters
    ----------
    codes
        Class of each row, shape (n,), int64; each of the k classes occurs.
    n_columns
        k.
    """

    def __init__(self, codes: Tensor, n_columns: int) -> None:
        self.codes = codes[:, None]
        self.n_columns = n_columns
        self.n_samples = len(codes)
        counts = torch.bincount(codes, minlength=n_columns).double()
        self.prevalence = counts / len(codes)

    def anchor(self, Z: Tensor, rows: slice) -> None:
        """Subtract the logit of the truth."""
        Z -= Z.gather(1, self.codes[rows])

    def residual(self, U: Tensor, rows: slice, *, out: Tensor) -> Tensor:
        """Write p - e_y; the loss is log Σ_j exp u_j, where u_y = 0."""
        top = U.amax(1, keepdim=True)  # (b, 1), >= 0 since the margin of the truth is 0
        P = torch.exp(torch.sub(U, top, out=out), out=out)
        P.scatter_(1, self.codes[rows], 0.0)
        others = P.sum(1, keepdim=True)
        total = others + torch.exp(-top)
        P /= total
        miss = others / total  # 1 - p_y without the cancellation
        P.scatter_(1, self.codes[rows], -miss)
        return torch.where(miss < 0.5, -torch.log1p(-miss), top + torch.log(total))[:, 0]

    def along(self, U: Tensor, V: Tensor, step: float) -> tuple[Tensor, Tensor]:
        """Mean and variance of V under the probabilities."""
        T = _softmax(torch.add(U, V, alpha=step)).mul_(V)
        slope = T.sum(1)
        return slope, T.mul_(V).sum(1) - slope.square()

    def curvature(self, U: Tensor, *, diagonal: bool) -> Tensor:
        """Return E[diag p - p pᵀ], or its diagonal."""
        P = _softmax(U.clone()).double()
        if diagonal:
            return (P - P.square()).mean(0)
        return torch.diag(P.mean(0)) - P.T @ P / len(P)

    def start(self) -> Tensor:
        """Return the log frequencies, in the gauge of mean zero."""
        b = self.prevalence.log()
        return b - b.mean()


class Sigmoid:
    """Sum of the binary cross-entropies of k independent columns; k = 1 is binary regression.

    Parameters
    ----------
    indicator
        Shape (n, k), bool; no column is constant.
    """

    def __init__(self, indicator: Tensor) -> None:
        self.n_samples, self.n_columns = indicator.shape
        self.prevalence = indicator.double().mean(0)
        self.sign = logits_like(indicator.shape, torch.int8, indicator.device)
        self.sign.copy_(1 - 2 * indicator.to(torch.int8))

    def anchor(self, Z: Tensor, rows: slice) -> None:
        """Multiply by 1 - 2y."""
        Z *= self.sign[rows]

    def residual(self, U: Tensor, rows: slice, *, out: Tensor) -> Tensor:
        """Write p - y; the loss is log(1 + exp u), summed over columns."""
        torch.sigmoid(U, out=out).mul_(self.sign[rows])
        return -torch.nn.functional.logsigmoid(-U).sum(1)

    def along(self, U: Tensor, V: Tensor, step: float) -> tuple[Tensor, Tensor]:
        """Σ p v and Σ p (1 - p) v² over columns."""
        P = torch.add(U, V, alpha=step).sigmoid_()
        slope = (P * V).sum(1)
        return slope, P.mul_(1 - P).mul_(V).mul_(V).sum(1)

    def curvature(self, U: Tensor, *, diagonal: bool) -> Tensor:
        """Return E[p (1 - p)], which is all there is."""
        P = torch.sigmoid(U).double()
        return (P * (1 - P)).mean(0)

    def start(self) -> Tensor:
        """Return the logits of the frequencies."""
        return torch.logit(self.prevalence)


def logits_like(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return an empty (n, k) tensor: stored class-major on a CPU when k is small."""
    n, k = shape
    if device.type == "cpu" and k < CLASS_MAJOR_BELOW:
        return torch.empty(k, n, dtype=dtype, device=device).T
    return torch.empty(n, k, dtype=dtype, device=device)


def _softmax(Z: Tensor) -> Tensor:
    """Softmax over columns, in place; torch.softmax would copy a class-major block."""
    Z -= Z.amax(1, keepdim=True)
    Z.exp_()
    Z /= Z.sum(1, keepdim=True)
    return Z
