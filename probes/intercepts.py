"""Intercepts: their minimum at fixed weights, which the duality gap of a head asks for."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from featstore.probes.lbfgs import line_search
from featstore.probes.objective import Objective, dot

_ITERATIONS = 20


def settle_intercepts(
    objective: Objective,
    theta: Tensor,
    U: Tensor,
    *,
    scratch: Tensor,
    settled: Callable[[float, Tensor], bool],
) -> None:
    """Minimise over the intercepts at fixed weights, in place: Newton's method, no pass.

    The duality gap wants mean predictions that equal the class frequencies, which is what
    vanishing gradients of the intercepts say.

    Parameters
    ----------
    objective
        What is minimised.
    theta, U
        Parameters (k, r + 1) and their margins (n, k), which move together.
    scratch
        Like U.
    settled
        Whether a value, and the gradient (k,) in the intercepts, are good enough.
    """
    W, previous = theta[:, :-1], math.inf
    penalty = 0.5 * objective.ridge * dot(W, W)
    for _ in range(_ITERATIONS):
        loss, g = objective.loss_and_residual(U, out=scratch)
        norm = g.norm().item()
        if not 0 < norm < 0.5 * previous or settled(loss + penalty, g):
            break
        previous = norm
        delta = newton_shift(objective.class_curvature(U), g)
        direction = torch.zeros_like(theta)
        direction[:, -1] = delta
        objective.shift(delta, out=scratch)
        step = line_search(objective, theta, direction, U, scratch, slope=dot(g, delta))
        U.add_(scratch, alpha=step)
        theta.add_(direction, alpha=step)


def newton_shift(A: Tensor, g: Tensor) -> Tensor:
    """Newton step (k,) of intercepts of gradient g (k,) and mean curvature A (k, k) or (k,).

    Examples
    --------
    >>> newton_shift(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), torch.tensor([0.5, -0.5]))
    tensor([-0.2500,  0.2500])
    """
    # The constant shift, of no effect under a softmax, is left out by the pseudo-inverse.
    return -(torch.linalg.pinv(A, hermitian=True) @ g if A.ndim == 2 else g / A)
