"""RidgePath: ridge regression to ±1 for every penalty, from one eigen-decomposition.

With centred features Z (n, r), centred targets Y (n, k) and ZᵀZ = Q diag(l) Qᵀ, the weights that
minimise ‖Y - Z W‖² + α ‖W‖² are

    W(α) = Q diag(1 / (l + α)) Qᵀ ZᵀY,

and with U = Z Q diag(l)^-½, whose columns are orthonormal, the residuals and the leverages are

    Y - Z W(α) = (Y - U Uᵀ Y) + U diag(α / (l + α)) Uᵀ Y,
    1 - h(α)   = (1 - 1/n - Σ u²) + Σ u² α / (l + α),

sums of terms that do not cancel, also where α is far below every l.  In r = n coordinates of the
row space (see `featstore.probes.moments`) the same formulae are the dual form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.conditioning import Conditioning
from featstore.probes.device import threads_for
from featstore.probes.inputs import Targets
from featstore.probes.moments import Moments
from featstore.probes.stream import BLOCK_ROWS, RowStream

_NOTHING = 1e-12  # of a row: what is outside the span of the features is rounding


@dataclass(frozen=True, eq=False)
class RidgePath:
    """Every ridge solution of one data set.

    Attributes
    ----------
    moments
        Of the features.
    eigenvalues
        Of their scatter, shape (r,); 0 where that is rounding.
    eigenvectors
        Shape (r, r).
    cross
        Qᵀ ZᵀY, shape (k, r).
    means
        Of the targets ±1, shape (k,).
    bias
        Constant of a column appended to the centred features, whose weight is penalised like
        the others; None for a free intercept.
    """

    moments: Moments
    eigenvalues: Tensor
    eigenvectors: Tensor
    cross: Tensor
    means: Tensor
    bias: float | None

    @classmethod
    def of(cls, moments: Moments, *, single: bool, bias: float | None) -> RidgePath:
        """Diagonalise.

        Parameters
        ----------
        moments
            Of features and classes.
        single
            Whether the last class alone says it all: two classes have one target column.
        bias
            See `RidgePath.bias`.
        """
        with threads_for(
            10.0 * moments.scatter.numel() * len(moments.scatter), moments.mean.device
        ):
            eigenvalues, Q = torch.linalg.eigh(moments.scatter)
        kept = eigenvalues > moments.noise * eigenvalues.amax()
        first = 1 if single else 0
        # Centred features sum to 0, so ZᵀY of ±1 is twice that of 0 and 1.
        cross = 2 * moments.sums[first:] @ Q * kept
        means = 2 * moments.counts[first:] / moments.n_samples - 1
        return cls(moments, eigenvalues * kept, Q, cross, means, bias)

    def solution(self, alpha: float) -> tuple[Tensor, Tensor]:
        """Weights (k, d) and intercepts (k,) over raw features; α = 0 takes the shortest."""
        coordinates = self.cross * self._inverse(alpha) @ self.eigenvectors.T
        weights = self.moments.to_features(coordinates)
        shrunk = self.means * (1 - self._bias_shrinkage(alpha))
        return weights, shrunk - weights @ self.moments.mean

    def conditioning(self, alpha: float, *, weights: Tensor | None = None) -> Conditioning:
        """Condition number, rank, effective degrees of freedom and residual at a penalty.

        Parameters
        ----------
        alpha
            The penalty.
        weights
            Of another solver, shape (k, d), over raw features that are not scaled; the residual is
            theirs.
        """
        kept = self.eigenvalues[self._kept]
        condition = (kept.amax() + alpha) / (kept.amin() + alpha) if len(kept) else torch.ones(())
        # In the eigenvectors as they were computed, against the scatter as it was summed.
        W = self.cross * self._inverse(alpha) @ self.eigenvectors.T
        if weights is not None:
            W = self.moments.from_features(weights.to(W.device))
        right = self.cross @ self.eigenvectors.T
        error = (W @ self.moments.scatter + alpha * W - right).norm()
        return Conditioning(
            condition_number=condition.item(),
            rank=len(kept),
            effective_dof=self._effective_dof(alpha),
            residual=(error / right.norm()).item() if len(kept) else 0.0,
        )

    def penalties(self) -> list[float]:
        """Candidates of α where nobody names any: 1e-8 to 1e2 times the largest eigenvalue."""
        largest = self.eigenvalues.amax().item() or 1.0
        return [float(f"{largest * 10 ** (step / 4):.6g}") for step in range(-32, 9)]

    def gcv(self, alphas: Sequence[float]) -> list[float]:
        """Generalised cross-validation of each α (Golub, Heath & Wahba 1979).

        n RSS / (n - effective degrees of freedom)², summed over the targets; no pass over the
        rows.
        """
        n, kept = self.moments.n_samples, self._kept
        projections = self.cross[:, kept].square() / self.eigenvalues[kept]  # (Uᵀ Y)²
        outside = (n * (1 - self.means.square()) - projections.sum(dim=1)).sum().item()
        if outside < _NOTHING * n * len(self.means):
            outside = 0.0
        found = []
        for alpha in _checked(alphas):
            shrinkage = alpha / (self.eigenvalues[kept] + alpha)
            rss = outside + (projections * shrinkage.square()).sum().item()
            rss += n * (self.means * self._bias_shrinkage(alpha)).square().sum().item()
            found.append(n * rss / (n - self._effective_dof(alpha)) ** 2)
        return found

    def leave_one_out(
        self, alphas: Sequence[float], stream: RowStream, targets: Targets
    ) -> list[float]:
        """Mean squared leave-one-out error of each α, summed over the targets (PRESS, Allen 1974).

        Exact for a free intercept and features as they are; a scaling of the columns, and the
        centre that a penalised intercept is added to, are taken from all rows.  One pass over
        the rows the moments were taken of.
        """
        n, kept = self.moments.n_samples, self._kept
        where = self.moments.mean.device
        lengths = self.eigenvalues[kept].sqrt()
        to_unit = self.eigenvectors[:, kept] / lengths  # U = Z to_unit
        projections = (self.cross[:, kept] / lengths).T  # Uᵀ Y
        labels = torch.from_numpy(targets.labels)
        alphas = _checked(alphas)
        totals = [0.0] * len(alphas)
        first = len(targets.classes) - len(self.means)  # 1 for two classes
        work = 2.0 * BLOCK_ROWS * len(lengths) * (len(lengths) + len(alphas) * len(self.means))
        with threads_for(work, where):
            for rows, block in stream.blocks(where):
                U = self.moments.coordinates(block) @ to_unit
                part = labels[rows].to(where)
                if part.ndim == 1:
                    part = part[:, None] == torch.arange(len(targets.classes), device=where)
                residual = 2 * part[:, first:].double() - 1 - self.means - U @ projections
                room = 1 - 1 / n - U.square().sum(dim=1, keepdim=True)
                outside = room > _NOTHING
                residual, room = residual * outside, room * outside
                for i, alpha in enumerate(alphas):
                    shrinkage = alpha / (self.eigenvalues[kept] + alpha)
                    bias = self._bias_shrinkage(alpha)
                    error = residual + (U * shrinkage) @ projections + bias * self.means
                    left = room + (U.square() @ shrinkage)[:, None] + bias / n
                    totals[i] += (error / left).square().sum().item()
        return [total / n for total in totals]

    @property
    def _kept(self) -> Tensor:
        return self.eigenvalues > 0

    def _inverse(self, alpha: float) -> Tensor:
        return torch.where(self._kept, 1 / (self.eigenvalues + alpha), 0.0)

    def _bias_shrinkage(self, alpha: float) -> float:
        """Share of the targets' means that the penalty of the bias column takes."""
        if self.bias is None:
            return 0.0
        return alpha / (self.moments.n_samples * self.bias**2 + alpha)

    def _effective_dof(self, alpha: float) -> float:
        kept = self.eigenvalues[self._kept]
        return (kept / (kept + alpha)).sum().item() + 1 - self._bias_shrinkage(alpha)


def _checked(alphas: Sequence[float]) -> list[float]:
    found = [float(alpha) for alpha in alphas]
    if not found or not all(0 < alpha < float("inf") for alpha in found):
        raise InvalidInputError(f"alphas must be positive and finite, got {found}")
    return found
