"""Loss: softmax or independent sigmoids over the margins of linear logits.

Everything the solver asks of a loss goes through *margins*: logits relative to the truth.  For a
softmax the margin of class j is z_j - z_y, for a sigmoid it is (1 - 2y) z; a loss is a function
of the margins alone, zero in the limit of -inf.  Losses and residuals of rows that are fitted
well then keep their relative precision in float32, where p_y - 1 and log(sum) - z_y lose all
digits, and a line search needs no targets.

Rows may weigh differently.  Their weights have mean 1, so that a mean over n rows is the weighted
mean, and 1 / n of a sum.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from featstore.probes.inputs import blocks

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
    def weighted(self) -> bool:
        """Whether rows or labels differ in weight."""
        ...

    @property
    def prevalence(self) -> Tensor:
        """Weighted mean of each target column, shape (k,), float64."""
        ...

    @property
    def mass(self) -> Tensor:
        """Mean weight in each column, shape (k,): the prevalence of a target that all have."""
        ...

    def anchor(self, Z: Tensor, rows: slice) -> None:
        """Turn logits, or a direction of logits, into margins, in place."""
        ...

    def residual(self, U: Tensor, rows: slice, *, out: Tensor) -> Tensor:
        """Write dloss/dlogits to `out` (b, k) and return the losses of the rows, shape (b,)."""
        ...

    def along(self, U: Tensor, V: Tensor, step: float, rows: slice) -> tuple[Tensor, Tensor]:
        """First and second derivative in `step` of the rows' losses at U + step V, (b,) each."""
        ...

    def curvature(self, U: Tensor, rows: slice, *, diagonal: bool) -> Tensor:
        """Mean Hessian of the loss in the logits: (k, k), or (k,) if it is or may be diagonal."""
        ...

    @property
    def coupled(self) -> bool:
        """Whether a constant added to all logits of a row changes nothing."""
        ...

    def column_curvature(self, U: Tensor, rows: slice) -> Tensor:
        """Second derivative of each row's loss in each of its logits, (b, k)."""
        ...

    def start(self) -> Tensor:
        """Return the intercepts that are optimal for zero weights, shape (k,), float64."""
        ...

    def reach(self, rows: slice) -> Tensor:
        """Upper bound on the norm of weighted probabilities (of all k columns), shape (b,)."""
        ...


class Softmax:
    """Cross-entropy of a softmax over the columns.

    Parameters
    ----------
    codes
        Class of each row, shape (n,), int64; each of the k classes has a row of positive weight.
    n_columns
        k.
    weights
        Of the rows, shape (n,), float64, mean 1; None for all 1.
    """

    coupled = True

    def __init__(self, codes: Tensor, n_columns: int, *, weights: Tensor | None = None) -> None:
        self.codes = codes[:, None]
        self.n_columns = n_columns
        self.n_samples = len(codes)
        self.weights = weights
        counts = torch.bincount(codes, weights, minlength=n_columns).double()
        self.prevalence = counts / len(codes)
        self.mass = torch.ones_like(self.prevalence)

    @property
    def weighted(self) -> bool:
        """Whether rows differ in weight."""
        return self.weights is not None

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
        losses = torch.where(miss < 0.5, -torch.log1p(-miss), top + torch.log(total))[:, 0]
        if self.weights is None:
            return losses
        weights = self.weights[rows].to(U.dtype)
        P *= weights[:, None]
        return losses * weights

    def along(self, U: Tensor, V: Tensor, step: float, rows: slice) -> tuple[Tensor, Tensor]:
        """Mean and variance of V under the probabilities."""
        T = _softmax(torch.add(U, V, alpha=step)).mul_(V)
        slope = T.sum(1)
        curvature = T.mul_(V).sum(1) - slope.square()
        if self.weights is None:
            return slope, curvature
        weights = self.weights[rows].to(U.dtype)
        return slope * weights, curvature * weights

    def curvature(self, U: Tensor, rows: slice, *, diagonal: bool) -> Tensor:
        """Return E[diag p - p pᵀ], or its diagonal."""
        P = _softmax(U.clone()).double()
        weighted = P if self.weights is None else P * self.weights[rows, None]
        if diagonal:
            return (weighted - weighted * P).mean(0)
        return torch.diag(weighted.mean(0)) - P.T @ weighted / len(P)

    def column_curvature(self, U: Tensor, rows: slice) -> Tensor:
        """Return p (1 - p)."""
        P = _softmax(U.clone())
        H = P * (1 - P)
        return H if self.weights is None else H.mul_(self.weights[rows, None].to(H.dtype))

    def start(self) -> Tensor:
        """Return the log frequencies, in the gauge of mean zero."""
        b = self.prevalence.log()
        return b - b.mean()

    def reach(self, rows: slice) -> Tensor:
        """Return the weights: no distribution is longer than 1."""
        if self.weights is None:
            return self.prevalence.new_ones(rows.stop - rows.start)
        return self.weights[rows]


class Sigmoid:
    """Sum of the binary cross-entropies of k independent columns; k = 1 is binary regression.

    Parameters
    ----------
    labels
        Which labels each row has, shape (n, k), bool; or the one that it has, shape (n,), int64.
        No column is constant among the rows of positive weight.
    n_columns
        k, where each row has one label.
    weights
        Of the rows, shape (n,), float64, mean 1; None for all 1.
    label_weights
        Factors of rows without and with each label, shape (2, k), float64; None for all 1.
    """

    coupled = False

    def __init__(
        self,
        labels: Tensor,
        n_columns: int | None = None,
        *,
        weights: Tensor | None = None,
        label_weights: Tensor | None = None,
    ) -> None:
        self.n_samples = len(labels)
        self.weights, self.label_weights = weights, label_weights
        self._codes: Tensor | None = None
        self._signs: Tensor | None = None
        if n_columns is None:
            self.n_columns = labels.shape[1]
            # Not a copy in a wider type: a billion of labels is a billion of bytes.
            self._signs = logits_like(labels.shape, torch.int8, labels.device)
            self._signs.copy_(labels).mul_(-2).add_(1)
            present = self._share(labels)
        else:
            self.n_columns, self._codes = n_columns, labels[:, None]
            present = torch.bincount(labels, weights, minlength=n_columns) / len(labels)
        sides = torch.stack([1 - present, present])
        if label_weights is not None:
            sides = sides * label_weights
        self.prevalence = sides[1]
        self.mass = sides.sum(0)

    @property
    def weighted(self) -> bool:
        """Whether rows or labels differ in weight."""
        return self.weights is not None or self.label_weights is not None

    def anchor(self, Z: Tensor, rows: slice) -> None:
        """Multiply by 1 - 2y."""
        Z *= self.signs(rows)

    def residual(self, U: Tensor, rows: slice, *, out: Tensor) -> Tensor:
        """Write p - y; the loss is log(1 + exp u), summed over columns."""
        signs = self.signs(rows)
        torch.sigmoid(U, out=out).mul_(signs)
        losses = torch.nn.functional.logsigmoid(-U).neg_()
        weights = self._weights(rows, signs, U.dtype)
        if weights is not None:
            out.mul_(weights)
            losses.mul_(weights)
        return losses.sum(1)

    def along(self, U: Tensor, V: Tensor, step: float, rows: slice) -> tuple[Tensor, Tensor]:
        """Σ p v and Σ p (1 - p) v² over columns."""
        P = torch.add(U, V, alpha=step).sigmoid_()
        slopes = P * V
        curvatures = P.mul_(1 - P).mul_(V).mul_(V)
        weights = self._weights(rows, None, U.dtype)
        if weights is not None:
            slopes.mul_(weights)
            curvatures.mul_(weights)
        return slopes.sum(1), curvatures.sum(1)

    def curvature(self, U: Tensor, rows: slice, *, diagonal: bool) -> Tensor:
        """Return E[p (1 - p)], which is all there is."""
        return self.column_curvature(U.double(), rows).mean(0)

    def column_curvature(self, U: Tensor, rows: slice) -> Tensor:
        """Return p (1 - p)."""
        P = torch.sigmoid(U)
        H = P * (1 - P)
        weights = self._weights(rows, None, H.dtype)
        return H if weights is None else H.mul_(weights)

    def start(self) -> Tensor:
        """Return the logits of the frequencies."""
        return torch.log(self.prevalence) - torch.log(self.mass - self.prevalence)

    def reach(self, rows: slice) -> Tensor:
        """Return the norms of the weights: probabilities lie in the unit cube."""
        weights = self._weights(rows, None, torch.float64)
        if weights is None:
            return self.prevalence.new_full((rows.stop - rows.start,), self.n_columns**0.5)
        norms: Tensor = weights.expand(-1, self.n_columns).norm(dim=1)
        return norms

    def signs(self, rows: slice) -> Tensor:
        """1 - 2y of some rows, shape (b, k), int8."""
        if self._signs is not None:
            return self._signs[rows]
        assert self._codes is not None
        codes = self._codes[rows]
        shape = torch.Size((len(codes), self.n_columns))
        signs: Tensor = logits_like(shape, torch.int8, codes.device).fill_(1).scatter_(1, codes, -1)
        return signs

    def column(self, j: int) -> tuple[Tensor, Tensor | None]:
        """Which rows have a label, shape (n,), bool, and what they weigh; None for all 1."""
        every = slice(0, self.n_samples)
        positive = (
            self._codes[:, 0] == j if self._codes is not None else self.signs(every)[:, j] < 0
        )
        weights = self.weights
        if self.label_weights is not None:
            absent, present = self.label_weights[:, j]
            factors = torch.where(positive, present, absent)
            weights = factors if weights is None else weights * factors
        return positive, weights

    def _share(self, labels: Tensor) -> Tensor:
        """Weighted share of the rows with each label, shape (k,)."""
        if self.weights is None:
            return labels.sum(0, dtype=torch.float64) / len(labels)
        total = labels.new_zeros(labels.shape[1], dtype=torch.float64)
        for rows in blocks(len(labels)):
            total += self.weights[rows] @ labels[rows].double()
        return total / len(labels)

    def _weights(self, rows: slice, signs: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        """Weights (b, k), or (b, 1) where all labels count alike; None where all are 1."""
        weights = None if self.weights is None else self.weights[rows, None]
        if self.label_weights is not None:
            signs = self.signs(rows) if signs is None else signs
            factors = torch.where(signs < 0, self.label_weights[1], self.label_weights[0])
            weights = factors if weights is None else factors * weights
        return None if weights is None else weights.to(dtype)


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
