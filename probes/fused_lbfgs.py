"""L-BFGS for objectives that cost a pass over the data wherever they are looked at."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from featstore.probes.curvature_pairs import CurvaturePairs
from featstore.probes.fused_objective import Evaluation, FusedObjective
from featstore.probes.lbfgs import (
    COLD_SAFETY,
    REFRESH,
    STALL,
    WARM_SAFETY,
    Minimum,
    decrement_safety,
    gap_estimate,
)
from featstore.probes.line_sample import LineSample
from featstore.probes.objective import dot
from featstore.probes.preconditioner import KroneckerMetric

_TRIALS = 20
_SLOPE_LEFT = 0.9  # of the descent: quasi-Newton steps need no more (Nocedal & Wright 2006, 3.1)
_SLOPE_BEYOND = 0.5  # of the ascent behind the valley
_ROUNDING = 1e-6  # of the value in float32
_TINY = 1e-300


def minimise_in_passes(
    objective: FusedObjective,
    metric: KroneckerMetric,
    theta: Tensor,
    *,
    tol: float,
    max_iter: int,
    tangent: Tensor | None = None,
    pairs: CurvaturePairs | None = None,
) -> Minimum:
    """Minimise as `featstore.probes.lbfgs.minimise` does, without its cached margins.

    Nearly every iteration is one pass: a sample of the rows says how long a step should be, and
    the pass that tries it gives the next gradient too.

    Parameters
    ----------
    objective
        What to minimise.
    metric, theta, tol, max_iter, tangent, pairs
        As for `featstore.probes.lbfgs.minimise`.
    """
    theta = theta.to(objective.dtype, copy=True)
    sample = objective.line_sample()
    here = objective.evaluate(theta, curvature=True)
    if tangent is not None:
        here = _follow(objective, sample, theta, tangent.to(objective.dtype), here)
    if pairs is None:
        pairs = CurvaturePairs.sized_for(len(objective.design), len(theta))
    least = WARM_SAFETY if pairs else COLD_SAFETY
    _refresh(metric, here)
    gradient = metric.to_eigenbasis(here.gradient)
    best, best_value, stalled, n_iter = theta.clone(), here.value, 0, 0
    trail: list[tuple[float, float]] = []
    while True:
        value = here.value
        trail.append((value, 0.5 * dot(gradient, metric.apply(gradient))))
        safety = decrement_safety(trail, least=least)
        estimate = gap_estimate(gradient, metric, objective.ridge, value=value, safety=safety)
        converged = estimate <= tol * value
        if converged or n_iter == max_iter or stalled == STALL:
            break
        step = pairs.direction(gradient, metric)
        slope = dot(gradient, step)
        if not slope < 0:
            if not pairs:
                break
            pairs.clear()  # rounding spoilt them
            continue
        direction = metric.from_eigenbasis(step)
        length, here = _search(
            objective, sample, theta, direction, here, slope, curvature=n_iter + 1 in REFRESH
        )
        theta.add_(direction, alpha=length)
        n_iter += 1
        _refresh(metric, here)
        new_gradient = metric.to_eigenbasis(here.gradient)
        pairs.append(step.mul_(length), new_gradient - gradient)
        gradient = new_gradient
        if here.value < best_value:
            best.copy_(theta)
            best_value, stalled = here.value, 0
        else:
            stalled += 1
    return Minimum(theta if converged else best, n_iter, pairs, safety, converged)


def _follow(
    objective: FusedObjective,
    sample: LineSample,
    theta: Tensor,
    tangent: Tensor,
    here: Evaluation,
) -> Evaluation:
    """Go along `tangent`, in place, if it leads down; return what is there."""
    slope = dot(here.gradient, tangent)
    if slope < 0:
        length, here = _search(objective, sample, theta, tangent, here, slope, curvature=True)
        theta.add_(tangent, alpha=length)
    return here


def _refresh(metric: KroneckerMetric, evaluation: Evaluation) -> None:
    if evaluation.curvature is not None:
        metric.refresh(evaluation.curvature)


def _search(
    objective: FusedObjective,
    sample: LineSample,
    theta: Tensor,
    direction: Tensor,
    here: Evaluation,
    slope: float,
    *,
    curvature: bool,
) -> tuple[float, Evaluation]:
    """Step with neither much descent left nor much ascent gone, and what is there.

    The objective is convex: its slope along the line grows, and a bracket of its zero is enough.
    """
    step, low, high = sample.step(theta, direction, slope), 0.0, math.inf
    low_slope, high_slope, extended = slope, math.inf, step
    for trial in range(1, _TRIALS + 1):
        there = objective.evaluate(torch.add(theta, direction, alpha=step), curvature=curvature)
        there_slope = dot(there.gradient, direction)
        falls = there.value <= here.value + _ROUNDING * abs(here.value)
        if falls and _SLOPE_LEFT * slope <= there_slope <= -_SLOPE_BEYOND * slope:
            break
        if trial == _TRIALS:
            break
        # Where numbers overflow, the step was too long.
        if there_slope < 0 and falls:
            rise = max(there_slope - low_slope, _TINY)
            extended = step - there_slope * (step - low) / rise
            low, low_slope = step, there_slope
        else:
            high, high_slope = step, there_slope
        if math.isinf(high):
            step = min(max(extended, 2 * step), 10 * step)
        else:
            width = high - low
            secant = low - low_slope * width / max(high_slope - low_slope, _TINY)
            if not low + 0.1 * width <= secant <= high - 0.1 * width:  # false for NaN too
                secant = low + 0.5 * width
            step = secant
    return step, there
