"""Newton's method, for many problems over the same rows at once.

The squared hinge loss is piecewise quadratic: a Newton step is exact once the right rows are
active, so that the method ends, rather than approaches the end (Mangasarian 2002; Keerthi &
DeCoste 2005; Chapelle 2007).  Steps are float64 and over the features as given.  H p = -g is solved
exactly for problems with few active rows, one after the other; for the others only as exactly as
it is worth by conjugate gradients, all side by side, in the precision and coordinates of the
working copy.  One product with the Hessians is one pass over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.probes.hinge_direction import newton_direction
from featstore.probes.preconditioner import GramBasis
from featstore.probes.squared_hinge import Evaluation, SquaredHinge

_STALL = 4  # steps that lower neither objective nor bound: rounding
_LOOSE = 0.03  # relative error of the first systems


@dataclass(frozen=True, eq=False)
class HingeMinimum:
    """Where `minimise_hinge` stopped; everything is per problem, float64.

    Attributes
    ----------
    theta
        Parameters (k, d + 1) over the centred features.
    values, gaps
        Objectives, and upper bounds on how far they are from their minima, shape (k,).
    gradient
        Shape (k, d + 1).
    n_iter
        Newton steps of the problem that took the most.
    passes
        Passes over the features, by how many problems took part in each.
    """

    theta: Tensor
    values: Tensor
    gaps: Tensor
    gradient: Tensor
    n_iter: int
    passes: float

    @classmethod
    def joined(cls, parts: Sequence[HingeMinimum]) -> HingeMinimum:
        """Of groups of problems that were solved one after the other."""
        share = [len(part.values) for part in parts]
        return cls(
            torch.cat([part.theta for part in parts]),
            torch.cat([part.values for part in parts]),
            torch.cat([part.gaps for part in parts]),
            torch.cat([part.gradient for part in parts]),
            max(part.n_iter for part in parts),
            sum(n * part.passes for n, part in zip(share, parts, strict=True)) / sum(share),
        )


def minimise_hinge(
    objective: SquaredHinge,
    basis: GramBasis,
    radius: float,
    *,
    start: Tensor,
    tol: float,
    max_iter: int,
) -> HingeMinimum:
    """Minimise every problem until its duality gap is at most `tol` times its objective.

    Parameters
    ----------
    objective
        Over the features as given.
    basis
        Of the same features: the working copy, and the preconditioner.
    radius
        Norm that no row of the objective's features exceeds.
    start
        Parameters (k, d + 1) to start from.
    tol
        Relative gap to reach.
    max_iter
        Newton steps.
    """
    k = len(objective.problems)
    out = _Results(start.clone())
    index = torch.arange(k, device=objective.ridge.device)
    theta = start.clone()
    E = objective.shortfalls(theta)
    best, lowest = out.gaps.clone(), out.values.clone()
    stalled = torch.zeros_like(index)
    n_iter, passes, counted = 0, 0.0, 0.0
    while True:
        objective.settle_intercepts(theta, E)
        found = objective.evaluate(theta, E)
        gaps = duality_gaps(objective, theta, found, radius)
        better = gaps < best
        out.put(index[better], theta[better], found, gaps, better)
        stalled = torch.where(better | (found.values < lowest), 0, stalled + 1)
        best, lowest = torch.minimum(best, gaps), torch.minimum(lowest, found.values)
        going = (gaps > tol * found.values) & (stalled < _STALL)
        passes += (objective.passes - counted) * len(index) / k
        counted = objective.passes
        if n_iter == max_iter or not going.any():
            break
        if not going.all():
            kept = going.nonzero()[:, 0]
            objective, index, theta, E = (
                objective.take(kept),
                index[kept],
                theta[kept],
                E[kept],
            )
            best, lowest, stalled, gaps = (a[kept] for a in (best, lowest, stalled, gaps))
            found = Evaluation(found.values[kept], found.gradient[kept], found.curvature[kept])
        accuracy = (gaps / found.values).sqrt().clamp_max(_LOOSE)
        direction, work = newton_direction(objective, found, basis, accuracy)
        passes += work / k
        F = objective.slopes(direction)
        step = objective.line_minimum(theta, direction, E, F)
        E.addcmul_(F, step[:, None])
        theta.addcmul_(direction, step[:, None])
        n_iter += 1
    return HingeMinimum(out.theta, out.values, out.gaps, out.gradient, n_iter, passes)


def duality_gaps(
    objective: SquaredHinge, theta: Tensor, found: Evaluation, radius: float
) -> Tensor:
    """Fenchel duality gap of each problem: an upper bound on f - min f, shape (k,).

    Notes
    -----
    The dual of a problem is, over a ≥ 0 with Σ a y = 0 where the intercept b is free,

        Σ a - n/4 Σ a² / c - ‖Σ a y x‖² / (2λ).

    For a = 2 c max(0, 1 - y z) / n, the residuals of the problem's own parameters, the difference
    to f is without any cancellation

        ‖∇_w f‖² / (2λ) + b g,    g = ∂f/∂b = -Σ a y.

    The constraint wants g = 0.  Where |g| is left, scaling down a on the heavier side repairs
    it: Σ a falls by |g|, its quadratic term falls too, and Σ a y x, which is λw - ∇_w f, moves
    by |g| R at most if no row is longer than R.  The dual then falls by at most

        |g| + |g| R (‖λw - ∇_w f‖ + |g| R / 2) / λ.
    """
    ridge, W, b = objective.ridge, theta[:, :-1], theta[:, -1]
    gW, g = found.gradient[:, :-1], found.gradient[:, -1]
    gaps = gW.square().sum(1) / (2 * ridge) + b * g
    short = g.abs() * radius
    reach = (ridge[:, None] * W - gW).norm(dim=1)
    gaps += g.abs() + short * (reach + short / 2) / ridge
    return torch.minimum(gaps.clamp_min(0.0), found.values)  # a loss is not negative


class _Results:
    """What is known best of each problem."""

    def __init__(self, theta: Tensor) -> None:
        self.theta, self.gradient = theta, torch.zeros_like(theta)
        self.values = torch.full_like(theta[:, 0], torch.inf)
        self.gaps = self.values.clone()

    def put(
        self, where: Tensor, theta: Tensor, found: Evaluation, gaps: Tensor, which: Tensor
    ) -> None:
        self.theta[where] = theta
        self.values[where], self.gaps[where] = found.values[which], gaps[which]
        self.gradient[where] = found.gradient[which]
