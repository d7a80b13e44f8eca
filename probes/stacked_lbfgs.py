"""L-BFGS for a stack of small problems in lockstep; each stops when it has converged.

As in `featstore.probes.lbfgs`: a Kronecker-factored initial inverse Hessian, and a Newton line
search on cached logits.  The two-loop recursion is written with matrices, as Byrd, Nocedal &
Schnabel 1994 do: with the steps S, the gradient changes Y (m, p), R the upper triangle of S Yᵀ and
D its diagonal,

    a = R⁻¹ S g,    q = H₀ (g - Yᵀ a),    H g = q + Sᵀ R⁻ᵀ (D a - Y q),

four batched products in place of 4 m short ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.probes.objective import DIAGONAL_FROM
from featstore.probes.softmax_stack import SoftmaxStack, along

MEMORY = 12  # pairs; more cost as much time as they save
_ROOM = 4  # times the memory: pairs are moved when it is full, not at every step
_REFRESH = {2, 5} | {10 * 2**i for i in range(20)}  # iterations that renew the class factor
_SLOPE_LEFT = 0.5  # the line search ends at this share of the initial slope
_LINE_TRIALS = 20
_STALL = 8  # iterations without a lower value: the noise floor
_ROUNDS = 4
_TARGET = 0.5  # of tol: what the cheap estimate must reach before the bound is evaluated
_SHRINK = 0.75  # the stack is compacted when this share of it is left


@dataclass(frozen=True, eq=False)
class StackMinimum:
    """Where a stack ended.

    Attributes
    ----------
    theta
        Parameters (s, k, r + 1).
    value, gap_bound
        Objectives, and how far they can be above the minimum, (s,).
    n_iter
        Iterations of each problem, (s,).
    """

    theta: Tensor
    value: Tensor
    gap_bound: Tensor
    n_iter: Tensor


def minimise_stack(
    stack: SoftmaxStack, theta: Tensor, *, tol: float, max_iter: int
) -> StackMinimum:
    """Minimise every problem until its duality gap is at most `tol` times its value.

    Parameters
    ----------
    stack
        The problems.
    theta
        Start, shape (s, k, r + 1).
    tol
        Relative gap to reach, as bounded, not estimated.
    max_iter
        Bound on iterations of each problem; one that reaches it, or the noise floor, is left
        with the gap it has.
    """
    theta = theta.clone()
    n_iter = torch.zeros(len(stack), dtype=torch.int64, device=theta.device)
    value, gap = (theta.new_full((len(stack),), torch.inf) for _ in range(2))
    pending = torch.arange(len(stack), device=theta.device)
    target = _TARGET * tol
    for _ in range(_ROUNDS):
        part = stack.take(pending)
        found, spent = _descend(
            part, theta[pending], target=target, max_iter=max_iter - n_iter[pending]
        )
        n_iter[pending] += spent
        P = part.settle_intercepts(found)
        values, gradients = part.value_and_gradient(found, P)
        theta[pending], value[pending] = found, values
        gap[pending] = part.gap_bounds(found, values, gradients)
        pending = torch.nonzero((gap > tol * value) & (n_iter < max_iter))[:, 0]
        if not len(pending):
            break
        target /= 10
    return StackMinimum(theta, value, gap, n_iter)


def _descend(
    stack: SoftmaxStack, theta: Tensor, *, target: float, max_iter: Tensor
) -> tuple[Tensor, Tensor]:
    """Go down until ‖∇_W f‖² / (2λ), and the intercepts' share, are `target` times the value."""
    out, spent = theta.clone(), torch.zeros_like(max_iter)
    places = torch.arange(len(stack), device=theta.device)
    U = stack.logits(theta)
    P = torch.softmax(U, dim=1)
    metric = StackMetric(stack)
    metric.refresh(stack.class_curvature(P))
    value, gradient = stack.value_and_gradient(theta, P)
    lowest, stalled = value.clone(), torch.zeros_like(max_iter)
    history = StackHistory(MEMORY)
    n_iter = 0
    while True:
        left = gradient[:, :, :-1].square().sum(dim=(1, 2)) / (2 * stack.ridge)
        left = left + metric.intercept_decrement(gradient[:, :, -1])
        done = (left <= target * value) | (n_iter >= max_iter[places]) | (stalled >= _STALL)
        n_left = int((~done).sum())
        if n_left <= _SHRINK * len(places):
            ended = torch.nonzero(done)[:, 0]
            out[places[ended]], spent[places[ended]] = theta[ended], n_iter
            if n_left == 0:
                return out, spent
            kept = torch.nonzero(~done)[:, 0]
            stack, metric, history = stack.take(kept), metric.take(kept), history.take(kept)
            places, theta, U, P, gradient, lowest, stalled, done = (
                x[kept] for x in (places, theta, U, P, gradient, lowest, stalled, done)
            )
        direction = history.direction(gradient, metric)
        # Problems that have converged, and wait for the others, stand still.
        direction *= ~done[:, None, None]
        V = stack.logits(direction)
        step, P = _line_search(stack, theta, direction, gradient, U, V, P, done)
        change = direction.mul_(step[:, None, None])
        U = torch.addcmul(U, step[:, None, None], V)
        theta = theta + change
        n_iter += 1
        if n_iter in _REFRESH:
            metric.refresh(stack.class_curvature(P))
        value, new_gradient = stack.value_and_gradient(theta, P)
        history.append(change, new_gradient - gradient)
        gradient = new_gradient
        stalled = torch.where(value < lowest, 0, stalled + 1)
        lowest = torch.minimum(lowest, value)


def _line_search(
    stack: SoftmaxStack,
    theta: Tensor,
    direction: Tensor,
    gradient: Tensor,
    U: Tensor,
    V: Tensor,
    P: Tensor,
    done: Tensor,
) -> tuple[Tensor, Tensor]:
    """Find steps (s,) that leave at most half of the slope, and the probabilities there."""
    W, D = theta[:, :, :-1], direction[:, :, :-1]
    slope = (gradient * direction).sum(dim=(1, 2)).abs()
    cross, square = stack.ridge * (W * D).sum(dim=(1, 2)), stack.ridge * D.square().sum(dim=(1, 2))
    step = torch.ones_like(slope)
    low, high = torch.zeros_like(step), torch.full_like(step, torch.inf)
    searching = torch.arange(len(step), device=step.device)
    codes, U_part, V_part = stack.codes, U, V
    for _ in range(_LINE_TRIALS):
        t = step[searching]
        first, second, P_part = along(U_part, V_part, t, codes)
        first = first + cross[searching] + t * square[searching]
        second = second + square[searching]
        P = P_part if len(searching) == len(step) else P.index_copy(0, searching, P_part)
        wrong = (first.abs() > _SLOPE_LEFT * slope[searching]) & ~done[searching]
        if not wrong.any():
            break
        again = torch.nonzero(wrong)[:, 0]
        searching, t, first, second = searching[again], t[again], first[again], second[again]
        high[searching] = torch.where(first > 0, t, high[searching])
        low[searching] = torch.where(first > 0, low[searching], t)
        newton = torch.minimum(t - first / second.clamp_min(1e-300), 10 * t)
        inside = (newton > low[searching]) & (newton < high[searching])
        halved = (low[searching] + high[searching]) / 2
        fallback = torch.where(high[searching].isinf(), 2 * t, halved)
        step[searching] = torch.where(inside, newton, fallback)
        codes, U_part, V_part = stack.codes[searching], U[searching], V[searching]
    else:
        # The last proposal was not evaluated: the one before was.
        step[searching] = t
    return step, P


class StackMetric:
    """Inverses of the Kronecker-factored Hessians of a stack; see `KroneckerMetric`."""

    def __init__(self, stack: SoftmaxStack) -> None:
        self._eigenvalues, self._ridge = stack.eigenvalues, stack.ridge
        self._U: Tensor | None = None

    def take(self, problems: Tensor) -> StackMetric:
        """Return the metric of some of the problems."""
        part = object.__new__(StackMetric)
        part._eigenvalues, part._ridge = self._eigenvalues[problems], self._ridge[problems]
        part._U = None if self._U is None else self._U[problems]
        part._inverse = self._inverse[problems]
        return part

    def refresh(self, class_curvature: Tensor) -> None:
        """Set the class factors A, shape (s, k, k), of which many classes use the diagonal."""
        if class_curvature.shape[1] < DIAGONAL_FROM:
            sigma, self._U = torch.linalg.eigh(class_curvature)
        else:
            sigma, self._U = class_curvature.diagonal(dim1=1, dim2=2), None
        sigma = sigma.clamp_min(1e-12)
        weights = sigma[:, :, None] * self._eigenvalues[:, None, :] + self._ridge[:, None, None]
        intercepts = sigma + 1e-3 * sigma.mean(dim=1, keepdim=True)
        self._inverse = torch.cat([weights, intercepts[:, :, None]], dim=2).reciprocal_()

    def apply(self, gradient: Tensor) -> Tensor:
        """Return the inverse Hessians times gradients, shape (s, k, r + 1)."""
        if self._U is None:
            return gradient * self._inverse
        return self._U @ ((self._U.mT @ gradient).mul_(self._inverse))

    def intercept_decrement(self, g: Tensor) -> Tensor:
        """Half the squared Newton decrement in the intercepts alone, shape (s,)."""
        rotated = g if self._U is None else (self._U.mT @ g[:, :, None])[:, :, 0]
        return (rotated.square() * self._inverse[:, :, -1]).sum(dim=1) / 2


class StackHistory:
    """The last pairs of steps and gradient changes of every problem.

    They are kept in float32: a direction needs no more, and the time goes into reading them.
    """

    def __init__(self, memory: int) -> None:
        self._memory, self._count = memory, 0
        self._S = self._Y = self._R = self._Sg = torch.empty(0)

    def take(self, problems: Tensor) -> StackHistory:
        """Return the history of some of the problems."""
        part = StackHistory(self._memory)
        part._count = self._count
        if self._count:
            part._S, part._Y, part._R, part._Sg = (
                x[problems] for x in (self._S, self._Y, self._R, self._Sg)
            )
        return part

    def append(self, s: Tensor, y: Tensor) -> None:
        """Add pairs, shape (s, k, r + 1) each; a pair whose curvature is rounding counts as none.

        The gradient of the next direction has to be the one that `y` led to.
        """
        s, y = s.flatten(1), y.flatten(1)
        curvature = (s * y).sum(dim=1)
        good = curvature > 1e-12 * s.norm(dim=1) * y.norm(dim=1)
        if not self._count:
            room = _ROOM * self._memory
            shape = (len(s), room, s.shape[1])
            self._S, self._Y = (s.new_zeros(shape, dtype=torch.float32) for _ in range(2))
            self._R = s.new_zeros(len(s), room, room)
            self._Sg = s.new_zeros(len(s), room)
        if self._count == self._S.shape[1]:
            self._move_to_front(self._memory - 1)
        new, self._count = self._count, self._count + 1
        self._S[:, new], self._Y[:, new] = s * good[:, None], y * good[:, None]
        self._R[:, new, new] = torch.where(good, curvature, 1.0)

    def direction(self, gradient: Tensor, metric: StackMetric) -> Tensor:
        """Descent directions, shape (s, k, r + 1)."""
        if not self._count:
            return metric.apply(gradient).neg_()
        last = slice(max(0, self._count - self._memory), self._count)
        S, Y, R = self._S[:, last], self._Y[:, last], self._R[:, last, last]
        D = R.diagonal(dim1=1, dim2=2)
        # Rows from the left: batched products with a column are ten times slower.
        Sg = (gradient.flatten(1).float()[:, None] @ S.mT)[:, 0].double()
        # The change of S g is S y: the new column of the triangle costs no product.
        good = Y[:, -1].any(dim=1)
        before = self._Sg[:, last]
        R[:, :-1, -1] = (Sg[:, :-1] - before[:, :-1]) * good[:, None]
        before.copy_(Sg)
        a = torch.linalg.solve_triangular(R, Sg[:, :, None], upper=True)[:, :, 0]
        reduced = gradient - (a.float()[:, None] @ Y).view_as(gradient)
        q = metric.apply(reduced)
        rest = D * a - (q.flatten(1).float()[:, None] @ Y.mT)[:, 0]
        w = torch.linalg.solve_triangular(R.mT, rest[:, :, None], upper=False)[:, :, 0]
        return q.add_((w.float()[:, None] @ S).view_as(q)).neg_()

    def _move_to_front(self, count: int) -> None:
        """Keep the last pairs alone."""
        for x in (self._S, self._Y, self._Sg):
            x[:, :count] = x[:, -count:].clone()
        self._R[:, :count, :count] = self._R[:, -count:, -count:].clone()
        self._R[:, count:] = 0
        self._count = count
