"""Certificate: how far a fitted head provably is from the optimum of its objective."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from featstore.probes.inputs import blocks
from featstore.probes.loss import Loss, Sigmoid
from featstore.probes.objective import dot


@dataclass(frozen=True)
class Certificate:
    """What is known about a fitted head, evaluated in float64 on the features as given.

    Attributes
    ----------
    objective
        f = mean loss + ‖W‖² / (2 C n): scikit-learn's objective divided by C n.  With weights the
        mean is the weighted one, and n their sum.
    gradient_norm
        l2 norm of the gradient of f in coef_ and intercept_.
    gap_bound
        Upper bound on f - min f, rigorous up to rounding in float64: the duality gap.
    relative_gap
        Estimate of (f - min f) / f, usually too large by a few times
        (see `featstore.probes.lbfgs.gap_estimate`); never above ``gap_bound / objective``.
    converged
        Whether relative_gap <= tol.
    n_iter
        Iterations of the solver.
    passes
        Passes over the features, each a product with X and one with its transpose; the one
        that this certificate took included, the Gram basis not.
    solver
        Method and precisions, e.g. ``"kfac-lbfgs float32"``.
    """

    objective: float
    gradient_norm: float
    gap_bound: float
    relative_gap: float
    converged: bool
    n_iter: int
    passes: float
    solver: str


def gap_bound(
    loss: Loss, ridge: float, theta: Tensor, value: float, gradient: Tensor, row_norms: Tensor
) -> float:
    """Fenchel duality gap of a head over centred features: an upper bound on f - min f.

    Parameters
    ----------
    loss, ridge
        Of the objective, of which `value` and `gradient` are those at `theta`, (k, d + 1).
    row_norms
        Norms of the centred rows, shape (n,).

    Notes
    -----
    Any probabilities P whose (weighted) column means equal those of the targets Y, ȳ, are
    feasible in the dual, whose value is H(P) - ‖XᵀY - XᵀP‖² / (2 λ n²), H being the mean entropy.
    For the head's own P the difference to f is, without any cancellation,

        ‖∇_W f‖² / (2λ) + ⟨b, g⟩,

    the first term being the bound from strong convexity.  The intercept b is not penalised, so
    P is feasible only up to the gradient in it, g = mean(P) - ȳ.  Mixing in a constant row q
    repairs that: P' = (1 - θ) P + θ 1qᵀ with q = (ȳ - g (1 - θ) / θ) / m, m the mean weight in
    a column, is a distribution once θ / (1 - θ) >= max g / ȳ (and >= max -g / (m - ȳ) for
    sigmoids).  H is concave, and XᵀP and Xᵀ1qᵀ are no longer than n T, so this lowers the dual
    value by at most

        θ H(P) + θ ‖G‖ 2T / λ + θ² (2T)² / (2λ),    G = (XᵀP - XᵀY) / n.

    Weights multiply the rows of Y and P wherever these meet X or are averaged.
    """
    W, b, gW, g = theta[:, :-1], theta[:, -1], gradient[:, :-1], gradient[:, -1]
    ratio = max(_excess(loss, g), 0.0)
    mix = ratio / (1 + ratio)  # θ above
    G = gW - ridge * W
    mean_loss = value - 0.5 * ridge * dot(W, W)
    entropy = max(mean_loss - dot(G, W) - dot(g, b), 0.0)
    moved = 2 * _reach(loss, row_norms)
    repair = mix * (entropy + moved / ridge * (math.sqrt(dot(G, G)) + mix * moved / 2))
    gap = dot(gW, gW) / (2 * ridge) + dot(b, g) + repair
    return min(max(gap, 0.0), value)  # a loss is not negative


def _excess(loss: Loss, g: Tensor) -> float:
    """θ / (1 - θ) of the mixture that makes probabilities feasible."""
    excess = (g / loss.prevalence).max().item()
    if isinstance(loss, Sigmoid):
        excess = max(excess, (-g / (loss.mass - loss.prevalence)).max().item())
    return excess


def _reach(loss: Loss, row_norms: Tensor) -> float:
    """T, an upper bound on ‖XᵀP‖ / n for all P."""
    n = len(row_norms)
    total = sum(dot(loss.reach(rows), row_norms[rows]) for rows in blocks(n))
    return total / n
