"""L-BFGS in a Kronecker metric, with a Newton line search that costs no pass over the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from featstore.probes.block_schedule import BlockSchedule
from featstore.probes.curvature_pairs import CurvaturePairs, InverseHessian
from featstore.probes.objective import Objective, dot
from featstore.probes.preconditioner import KroneckerMetric

STALL = 8  # iterations without a lower value: the noise floor of the precision
REFRESH = {2, 5} | {10 * 2**i for i in range(20)}  # iterations that renew the class factor
DECREMENT_SAFETY = 10.0
WARM_SAFETY = 20.0  # a short way from a minimum nearby says little
COLD_SAFETY = 5.0  # where the way from zero weights says whether more is needed
_SAFETY_MARGIN = 2.0  # what is still to be gained comes on top of what has been
# An anchor serves until its decrement has fallen to a hundredth (errors of rounded steps, measured,
# are a thousandth), until they show, or for so many iterations: towards interpolation the metric
# hardly sees what they spoil.
_ANCHOR_HOLDS = 0.01
_ANCHOR_STALL = 2  # iterations without a lower value
_FEWEST_STEPS, _MOST_STEPS = 5, 25
_SLOPE_LEFT = 0.3  # the line search ends at this share of the initial slope


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where `minimise` stopped.

    Attributes
    ----------
    theta
        Parameters (k, r + 1).
    n_iter
        Iterations; each is one pass over the data.
    pairs
        What was learnt about the Hessian, in the eigenbasis of the metric.
    safety
        Factor from half the squared Newton decrement to the gap, as `decrement_safety` found it.
    converged
        Whether the tolerance was reached, as estimated.
    """

    theta: Tensor
    n_iter: int
    pairs: CurvaturePairs
    safety: float
    converged: bool


def minimise(
    objective: Objective,
    metric: KroneckerMetric,
    theta: Tensor,
    *,
    tol: float,
    max_iter: int,
    tangent: Tensor | None = None,
    pairs: CurvaturePairs | None = None,
    blocks: bool = False,
) -> Minimum:
    """Minimise a penalised loss of linear logits (Nocedal & Wright 2006, algorithm 7.5).

    Parameters
    ----------
    objective
        What to minimise.  One that rounds is anchored again whenever the solver has come nearer by
        a factor that its errors may be a tenth of; and steps exactly once that does not help.
    metric
        Initial inverse Hessian; its class factor is refreshed on the way.
    theta
        Start, shape (k, r + 1).
    tol
        Relative suboptimality to reach, as estimated.
    max_iter
        Bound on iterations.
    tangent
        Direction to search first, shape (k, r + 1): the way that a path of minima went so far.
    pairs
        What is known of the Hessian from a similar problem; default nothing.
    blocks
        Whether there is memory for blocks of the Hessian, once they pay.
    """
    theta = theta.to(objective.dtype, copy=True)
    U, V = objective.new_margins(), objective.new_margins()
    if theta[:, :-1].any():
        objective.margins(theta, out=U)
    else:
        objective.shift(theta[:, -1], out=U)
    if tangent is not None:
        _follow(objective, theta, tangent.to(objective.dtype), U, V)
    if pairs is None:
        pairs = CurvaturePairs.sized_for(len(U), U.shape[1])
    least = WARM_SAFETY if pairs else COLD_SAFETY
    metric.refresh(objective.class_curvature(U))
    value, gradient = _anchor(objective, metric, theta, U, V)
    best, best_value, stalled, n_iter = theta.clone(), value, 0, 0
    anchor, anchor_iter, anchor_value, at_anchor = math.inf, 0, value, True
    trail: list[tuple[float, float]] = []
    schedule = BlockSchedule(objective) if blocks else None
    inverse: InverseHessian = metric
    while True:
        decrement = 0.5 * dot(gradient, metric.apply(gradient))
        if at_anchor:
            anchor, anchor_iter = decrement, n_iter
        elif (
            decrement < _ANCHOR_HOLDS * anchor
            or stalled == _ANCHOR_STALL
            or n_iter - anchor_iter >= min(max(anchor_iter, _FEWEST_STEPS), _MOST_STEPS)
        ):
            objective.margins(theta, out=U)
            value, gradient = _anchor(objective, metric, theta, U, V)
            if not value < anchor_value or (stalled and n_iter - anchor_iter < _FEWEST_STEPS):
                objective.step_exactly()  # rounded steps lead no further
            best.copy_(theta)
            best_value, anchor_value, stalled, at_anchor = value, value, 0, True
            continue
        trail.append((value, decrement))
        safety = decrement_safety(trail, least=least)
        estimate = gap_estimate(gradient, metric, objective.ridge, value=value, safety=safety)
        if estimate <= tol * value or n_iter == max_iter or stalled == STALL:
            break
        if schedule is not None:
            shortfall = estimate / (tol * value) if tol else math.inf
            inverse = schedule.renewed(metric, trail, shortfall, U, scratch=V) or inverse
        step = pairs.direction(gradient, inverse)
        slope = dot(gradient, step)
        if not slope < 0:
            if not pairs:
                break
            pairs.clear()  # rounding spoilt them
            continue
        direction = metric.from_eigenbasis(step)
        objective.step_margins(direction, out=V)
        length = line_search(objective, theta, direction, U, V, slope)
        U.add_(V, alpha=length)
        theta.add_(direction, alpha=length)
        n_iter += 1
        if n_iter in REFRESH:
            metric.refresh(objective.class_curvature(U))
        value, new_gradient = objective.value_and_gradient(theta, U, scratch=V)
        new_gradient = metric.to_eigenbasis(new_gradient)
        at_anchor = not objective.rounded
        pairs.append(step * length, new_gradient - gradient)
        gradient = new_gradient
        if value < best_value:
            best.copy_(theta)
            best_value, stalled = value, 0
        else:
            stalled += 1
    converged = estimate <= tol * value
    return Minimum(theta if converged else best, n_iter, pairs, safety, converged)


def _anchor(
    objective: Objective, metric: KroneckerMetric, theta: Tensor, U: Tensor, scratch: Tensor
) -> tuple[float, Tensor]:
    """Exact value, and gradient in the eigenbasis of the metric."""
    value, gradient = objective.anchor(theta, U, scratch=scratch)
    return value, metric.to_eigenbasis(gradient)


def _follow(
    objective: Objective, theta: Tensor, tangent: Tensor, U: Tensor, scratch: Tensor
) -> None:
    """Go to about the least value along `tangent`, in place, if it leads down; half a pass."""
    W, D = theta[:, :-1], tangent[:, :-1]
    objective.margins(tangent, out=scratch)
    slope = objective.along(U, scratch, 0.0)[0] + objective.ridge * dot(W, D)
    if slope < 0:
        length = line_search(objective, theta, tangent, U, scratch, slope)
        U.add_(scratch, alpha=length)
        theta.add_(tangent, alpha=length)


def decrement_safety(trail: list[tuple[float, float]], *, least: float = DECREMENT_SAFETY) -> float:
    """Factor by which half the squared Newton decrement falls short of the gap, with a margin.

    What has been gained since an iterate is less than its gap was, so its ratio to the decrement
    there is a factor that was needed.  The later half of the iterates says it for where the
    solver is.

    Parameters
    ----------
    trail
        Value and half the squared decrement of each iterate so far.
    least
        Least factor.

    Examples
    --------
    >>> decrement_safety([(3.0, 0.1), (2.0, 0.05), (1.0, 0.02)])
    40.0
    """
    value = trail[-1][0]
    since = trail[len(trail) // 2 :]
    needed = max(((v - value) / d for v, d in since if d > 0), default=0.0)
    return max(least, _SAFETY_MARGIN * needed)


def gap_estimate(
    gradient: Tensor,
    metric: KroneckerMetric,
    ridge: float,
    *,
    value: float,
    safety: float = DECREMENT_SAFETY,
) -> float:
    """Estimate f - min f from a gradient in the eigenbasis of the metric.

    Half the squared Newton decrement in the Kronecker metric falls short of the gap where the
    factorisation is poor (towards interpolation, measured: up to 20 times), hence the factor
    `safety`: a few, or what the solver's own way showed to be needed.  There strong convexity,
    ‖∇_W f‖² / (2λ), and the intercepts' own decrement exceed the gap by about as much only, so the
    smaller of the two serves; but while that bound says nothing, nor is the decrement trusted.
    Measured on digits, synthetic features, DINOv2 and EfficientNet-Lite0 at C from 1e-6 to 1e5,
    fits that stopped by the estimate were within 0.8 of their tolerance and half of them within
    an eighth; on the way, where columns differ in scale by 10⁴ and more or hundreds of classes are
    ordered along one axis, it was as low as a ninth.
    """
    weights = gradient[:, :-1]
    # Twice, since the weights have to follow the intercepts.
    bound = dot(weights, weights) / (2 * ridge) + 2 * metric.intercept_decrement(gradient)
    if bound > value:
        return value  # which bounds it too, as a loss is not negative
    return min(bound, safety * 0.5 * dot(gradient, metric.apply(gradient)))


class Line(Protocol):
    """What a line search looks at: an objective, or some of its rows."""

    ridge: float

    def along(self, U: Tensor, V: Tensor, step: float) -> tuple[float, float]:
        """First and second derivative of the mean loss (no penalty) in `step` at U + step V."""
        ...


def line_search(
    objective: Line, theta: Tensor, direction: Tensor, U: Tensor, V: Tensor, slope: float
) -> float:
    """Step along `direction` that leaves at most 30 % of the slope: safeguarded Newton.

    Works on the cached margins of the parameters, U, and of the direction, V.
    """
    W, D = theta[:, :-1], direction[:, :-1]
    cross, square = objective.ridge * dot(W, D), objective.ridge * dot(D, D)
    step, low, high = 1.0, 0.0, math.inf
    for _ in range(20):
        first, second = objective.along(U, V, step)
        first += cross + step * square
        second += square
        if abs(first) <= _SLOPE_LEFT * abs(slope):
            break
        low, high = (low, step) if first > 0 else (step, high)
        newton = min(step - first / max(second, 1e-300), 10 * step)
        if not low < newton < high:
            newton = 2 * step if math.isinf(high) else (low + high) / 2
        step = newton
    return step
