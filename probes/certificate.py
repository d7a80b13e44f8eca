"""Certificate: how far a fitted head provably is from the optimum of its objective."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.probes.loss import Loss, Sigmoid
from featstore.probes.objective import dot


@dataclass(frozen=True)
class Certificate:
    """What is known about a fitted head, evaluated in float64 on the features as given.

    Attributes
    ----------
    objective
        f = mean loss + ‖W‖² / (2 C n): scikit-learn's objective divided by C n.
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


class CentredRows:
    """Raw features as a float64 design matrix that is only ever made block by block.

    Parameters
    ----------
    X
        Shape (n, d), any floating dtype, on the CPU.
    mean
        Column means, shape (d,), float64; its device is where the blocks go.
    """

    dtype = torch.float64

    def __init__(self, X: Tensor, mean: Tensor) -> None:
        self._X, self._mean, self.device = X, mean, mean.device

    def __len__(self) -> int:
        return len(self._X)

    def __getitem__(self, rows: slice) -> Tensor:
        return self._X[rows].to(self.device).double() - self._mean


def gap_bound(
    loss: Loss,
    ridge: float,
    theta: Tensor,
    value: float,
    gradient: Tensor,
    squared_radius: float,
) -> float:
    """Fenchel duality gap of a head over centred features: an upper bound on f - min f.

    Parameters
    ----------
    loss, ridge
        Of the objective, of which `value` and `gradient` are those at `theta`, (k, d + 1).
    squared_radius
        Mean squared norm of the centred rows.

    Notes
    -----
    Any probabilities P whose column means equal those of the targets Y, ȳ, are feasible in the
    dual, whose value is H(P) - ‖XᵀY - XᵀP‖² / (2 λ n²), H being the mean entropy.  For the
    head's own P the difference to f is, without any cancellation,

        ‖∇_W f‖² / (2λ) + ⟨b, g⟩,

    the first term being the bound from strong convexity.  The intercept b is not penalised, so
    P is feasible only up to the gradient in it, g = mean(P) - ȳ.  Mixing in a constant row q
    repairs that: P' = (1 - θ) P + θ 1qᵀ with q = ȳ - g (1 - θ) / θ, a distribution once
    θ / (1 - θ) >= max g / ȳ (and >= max -g / (1 - ȳ) for sigmoids).  H is concave and
    XᵀP' = (1 - θ) XᵀP, so this lowers the dual value by at most

        θ H(P) + θ ‖G‖ T / λ + θ² T² / (2λ),    G = (XᵀP - XᵀY) / n,    T >= ‖XᵀP‖ / n.
    """
    W, b, gW, g = theta[:, :-1], theta[:, -1], gradient[:, :-1], gradient[:, -1]
    excess = g / loss.prevalence
    if isinstance(loss, Sigmoid):
        excess = torch.maximum(excess, -g / (1 - loss.prevalence))
    ratio = max(excess.max().item(), 0.0)
    mix = ratio / (1 + ratio)  # θ above
    G = gW - ridge * W
    mean_loss = value - 0.5 * ridge * dot(W, W)
    entropy = max(mean_loss - dot(G, W) - dot(g, b), 0.0)
    # ‖p_i‖ <= 1 in the simplex and <= √k in the cube; Jensen's inequality for mean ‖x_i‖.
    T = math.sqrt(squared_radius * (len(theta) if isinstance(loss, Sigmoid) else 1))
    repair = mix * (entropy + T / ridge * (math.sqrt(dot(G, G)) + mix * T / 2))
    gap = dot(gW, gW) / (2 * ridge) + dot(b, g) + repair
    return min(max(gap, 0.0), value)  # a loss is not negative
