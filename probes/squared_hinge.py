"""SquaredHinge: the L2-penalised squared hinge loss of many binary problems over the same rows.

Of a row with sign y = ±1, weight c and logit z the loss is c max(0, 1 - y z)².  With the signed
root s = y √c it is max(0, e)², where e = |s| - s z is the row's *shortfall*: along a line in the
parameters shortfalls are linear, so that nothing but them and their slopes is needed there.
Tensors are class-major, (k, n): reductions over a problem's rows run along memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.probes.centred_rows import Design
from featstore.probes.inputs import blocks
from featstore.probes.one_vs_rest import OneVsRest

_ROWS = 2048  # of features, widened to float64 at a time
_CUDA_ROWS = 2**15
_NUMBERS = 2**17  # of an elementwise block, so that its temporaries stay in the cache
_SEARCHES = 60  # evaluations along a line


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Values and derivatives of all problems at some parameters, float64.

    Attributes
    ----------
    values
        f = mean loss + λ/2 ‖w‖², shape (k,).
    gradient
        Shape (k, d + 1); the intercepts' is 0 where they are not free.
    curvature
        Second derivative of the mean loss in each row's logit, shape (k, n).
    """

    values: Tensor
    gradient: Tensor
    curvature: Tensor


class SquaredHinge:
    """Mean squared hinge losses plus ridge/2 ‖w‖², one per problem.

    Parameters
    ----------
    design
        Centred features (n, d), or any if intercepts are not free; its blocks are widened to
        float64.
    problems
        Signs and weights of the rows.
    ridge
        λ = 1 / (C n) of each problem, shape (k,).
    free_intercept
        Whether there are intercepts, which are not penalised; else they stay as they are.

    Notes
    -----
    Parameters are class-major, (k, d + 1): weights, then the intercept.
    """

    def __init__(
        self, design: Design, problems: OneVsRest, ridge: Tensor, *, free_intercept: bool
    ) -> None:
        self.design, self.problems, self.ridge = design, problems, ridge
        self.free_intercept = free_intercept
        self.passes = 0.0
        self._rows = _CUDA_ROWS if design.device.type == "cuda" else _ROWS

    def take(self, index: Tensor) -> SquaredHinge:
        """Return the problems at these positions."""
        taken = SquaredHinge(
            self.design,
            self.problems.take(index),
            self.ridge[index],
            free_intercept=self.free_intercept,
        )
        taken.passes = self.passes
        return taken

    def start(self) -> Tensor:
        """Zero weights, and the intercepts that are optimal for them; shape (k, d + 1)."""
        d = self.design[:1].shape[1]
        theta = torch.zeros(
            len(self.problems), d + 1, dtype=torch.float64, device=self.ridge.device
        )
        if self.free_intercept:
            on, off = self.problems.totals()
            theta[:, -1] = (on - off) / (on + off)
        return theta

    def shortfalls(self, theta: Tensor) -> Tensor:
        """Shortfalls of all rows at the parameters, shape (k, n); half a pass."""
        E = self._slopes(theta)
        for rows in self._cached(E):
            E[:, rows] += self.problems.signed_roots(rows).abs()
        return E

    def slopes(self, direction: Tensor) -> Tensor:
        """How shortfalls change along a direction of the parameters, (k, n); half a pass."""
        return self._slopes(direction)

    def evaluate(self, theta: Tensor, E: Tensor) -> Evaluation:
        """Values and derivatives at the parameters, whose shortfalls are E; half a pass."""
        self.passes += 0.5
        n = self.problems.n_samples
        losses = torch.zeros_like(self.ridge)
        gradient = torch.zeros_like(theta)
        curvature = torch.empty_like(E)
        for rows in blocks(n, self._rows):
            short, roots = E[:, rows].clamp_min(0.0), self.problems.signed_roots(rows)
            losses += short.square().sum(1)
            curvature[:, rows] = (short > 0) * roots.square() * (2 / n)
            residual = short.mul_(roots).mul_(-2 / n)
            gradient[:, :-1] += residual @ self.design[rows].double()
            gradient[:, -1] += residual.sum(1)
        W = theta[:, :-1]
        gradient[:, :-1] += self.ridge[:, None] * W
        if not self.free_intercept:
            gradient[:, -1] = 0.0
        values = losses / n + 0.5 * self.ridge * W.square().sum(1)
        return Evaluation(values, gradient, curvature)

    def line_minimum(self, theta: Tensor, direction: Tensor, E: Tensor, F: Tensor) -> Tensor:
        """Find how far along its direction each problem's minimum is, shape (k,); no pass.

        Parameters
        ----------
        theta, direction
            Parameters, and where they may go, (k, d + 1).
        E, F
            Shortfalls and their slopes, (k, n).

        Notes
        -----
        Along a line the objective is piecewise quadratic: Newton's method on its derivative ends
        at the minimum once the right rows are active.  Bisection is there for where it cycles.
        """
        W, D = theta[:, :-1], direction[:, :-1]
        cross = self.ridge * (W * D).sum(1)
        square = self.ridge * (D * D).sum(1)
        slope = self._along(E, F, torch.zeros_like(cross))[0] + cross
        step, low = torch.ones_like(cross), torch.zeros_like(cross)
        high = torch.full_like(cross, torch.inf)
        step[slope >= 0] = 0.0  # at the minimum, up to rounding
        going = slope < 0
        for _ in range(_SEARCHES):
            first, second = self._along(E, F, step)
            first, second = first + cross + step * square, second + square
            going &= first.abs() > 1e-12 * slope.abs()
            if not going.any():
                break
            low = torch.where(first <= 0, step, low)
            high = torch.where(first > 0, step, high)
            newton = step - first / second.clamp_min(torch.finfo(torch.float64).tiny)
            newton = torch.minimum(newton, 10 * step)
            halfway = torch.where(high.isinf(), 2 * step, (low + high) / 2)
            inside = (low < newton) & (newton < high)
            step = torch.where(going, torch.where(inside, newton, halfway), step)
        return step

    def settle_intercepts(self, theta: Tensor, E: Tensor) -> None:
        """Minimise over free intercepts at fixed weights, in place; no pass.

        `theta` and its shortfalls move together.
        """
        if not self.free_intercept:
            return
        # The direction that lowers the loss, by 1.
        roots = torch.empty_like(E)
        for rows in self._cached(E):
            roots[:, rows] = self.problems.signed_roots(rows)
        sign = torch.sign((E.clamp_min(0.0) * roots).sum(1))
        direction = torch.zeros_like(theta)
        direction[:, -1] = sign
        F = roots.mul_(-sign[:, None])
        step = self.line_minimum(theta, direction, E, F)
        E.addcmul_(F, step[:, None])
        theta[:, -1] += step * sign

    def _slopes(self, theta: Tensor) -> Tensor:
        self.passes += 0.5
        n = self.problems.n_samples
        F = torch.empty(len(theta), n, dtype=torch.float64, device=theta.device)
        W, b = theta[:, :-1], theta[:, -1:]
        for rows in blocks(n, self._rows):
            logits = torch.addmm(b, W, self.design[rows].double().T)
            torch.mul(logits, self.problems.signed_roots(rows), out=F[:, rows]).neg_()
        return F

    def _along(self, E: Tensor, F: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """First and second derivative of the mean losses at E + step F, shape (k,) each."""
        first, second = torch.zeros_like(step), torch.zeros_like(step)
        for rows in self._cached(E):
            slopes = F[:, rows]
            short = torch.addcmul(E[:, rows], slopes, step[:, None]).clamp_min_(0.0)
            first += (short * slopes).sum(1)
            second += ((short > 0) * slopes.square()).sum(1)
        n = self.problems.n_samples
        return first * (2 / n), second * (2 / n)

    def _cached(self, E: Tensor) -> list[slice]:
        rows = E.shape[1] if E.device.type == "cuda" else max(256, _NUMBERS // len(E))
        return list(blocks(E.shape[1], rows))
