"""Active rows: Newton's system of one problem solved exactly over the few rows that have a loss.

Rows without loss have no curvature either.  With B the m others times the roots s of their
curvatures, H = BᵀB + λI for the weights, and towards the hard margin m is a small share of n.  The
inverse takes a matrix of min(m, r)² only (Woodbury):

    H⁻¹ = (I - Bᵀ (BBᵀ + λI)⁻¹ B) / λ.
"""

from __future__ import annotations

import torch
from torch import Tensor


def exact_work(n_active: int, n_columns: int) -> float:
    """Operations of `exact_direction`."""
    few, many = sorted((float(n_active), float(n_columns)))
    return few * few * many + few**3 / 3


def exact_direction(
    rows: Tensor, curvature: Tensor, gradient: Tensor, ridge: float, *, free_intercept: bool
) -> Tensor:
    """Solve H p = -g for the weights and, where it is free, the intercept.

    Parameters
    ----------
    rows
        Active rows (m, r), float64, m >= 1.
    curvature
        Theirs, shape (m,).
    gradient
        Shape (r + 1,).
    ridge
        λ.
    free_intercept
        Else the intercept does not move.

    Returns
    -------
    direction
        Shape (r + 1,).
    """
    s = curvature.sqrt()
    B = s[:, None] * rows
    m, r = B.shape
    g, g0 = gradient[:-1], gradient[-1]
    # Right sides: the gradient, and what the intercept's column Bᵀs is for.
    sides = torch.stack([g, B.T @ s], dim=1)  # (r, 2)
    if m < r:
        K = B @ B.T
        K.diagonal().add_(ridge)
        factor = torch.linalg.cholesky(K)
        solved = (sides - B.T @ torch.cholesky_solve(B @ sides, factor)) / ridge
        # sᵀs - (Bᵀs)ᵀ H⁻¹ (Bᵀs) without the cancellation.
        left = ridge * (s @ torch.cholesky_solve(s[:, None], factor)[:, 0])
        # The same of H⁻¹Bᵀs.
        solved[:, 1] = B.T @ torch.cholesky_solve(s[:, None], factor)[:, 0]
    else:
        H = B.T @ B
        H.diagonal().add_(ridge)
        solved = torch.cholesky_solve(sides, torch.linalg.cholesky(H))
        left = s @ s - sides[:, 1] @ solved[:, 1]
    out = torch.zeros_like(gradient)
    if free_intercept:
        out[-1] = -(g0 - sides[:, 1] @ solved[:, 0]) / left
    out[:-1] = -solved[:, 0] - out[-1] * solved[:, 1]
    return out
