"""Optimality: a head looked at in float64 on the features as they were given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.probes.centred_rows import CentredRows
from featstore.probes.certificate import Certificate, gap_bound
from featstore.probes.fused_objective import Evaluation, FusedObjective
from featstore.probes.head_problem import HeadProblem
from featstore.probes.intercepts import newton_shift, settle_intercepts
from featstore.probes.lbfgs import DECREMENT_SAFETY, gap_estimate
from featstore.probes.objective import Objective, dot
from featstore.probes.preconditioner import KroneckerMetric

_SETTLE_PASSES = 4


@dataclass(frozen=True, eq=False)
class Optimality:
    """Objective and gradient of a head, whoever found it, and how far it is from the optimum.

    Attributes
    ----------
    theta
        Parameters over centred features, (k, d + 1), float64; intercepts optimal for the weights.
    value, gradient
        Of the objective at `theta`.
    gap_bound
        Upper bound on f - min f.
    relative_gap
        Estimate of (f - min f) / f; at most ``gap_bound / value``.
    passes
        That it took to find out.
    """

    theta: Tensor
    value: float
    gradient: Tensor
    gap_bound: float
    relative_gap: float
    passes: float

    @classmethod
    def of(
        cls,
        problem: HeadProblem,
        theta: Tensor,
        ridge: float,
        metric: KroneckerMetric | None = None,
        *,
        safety: float = DECREMENT_SAFETY,
        slack: float = 0.0,
    ) -> Optimality:
        """Evaluate a head.

        Parameters
        ----------
        problem
            What it is a solution of.
        theta
            Over centred features, (k, d + 1), float64.
        ridge
            λ.
        metric
            At that λ, its class factor fresh enough; made where it is missing.
        safety
            As for `featstore.probes.lbfgs.gap_estimate`.
        slack
            Share of the value that intercepts may add to the bound; above, they are settled.
        """
        basis, memory = problem.basis, problem.memory
        design = CentredRows(problem.stream, basis.mean, torch.float64, memory.batch_rows)
        if memory.fused:
            fused = FusedObjective(
                design, problem.loss, ridge, dtype=torch.float64, block_rows=memory.block_rows
            )
            theta, here = _settled(problem, fused, theta, slack)
            value, gradient, curvature = here.value, here.gradient, here.curvature
            passes = fused.passes
        else:
            raw = Objective(design, problem.loss, ridge, dtype=torch.float64)
            theta = theta.clone()
            U, V = raw.margins(theta, out=raw.new_margins()), raw.new_margins()

            def settled(value: float, g: Tensor) -> bool:
                gradient = torch.zeros_like(theta)
                gradient[:, -1] = g
                return _bound(problem, theta, ridge, value, gradient) <= slack * value

            settle_intercepts(raw, theta, U, scratch=V, settled=settled)
            value, gradient = raw.value_and_gradient(theta, U, scratch=V)
            curvature = raw.class_curvature(U) if metric is None else None
            passes = raw.passes
        if metric is None:
            assert curvature is not None
            metric = KroneckerMetric(basis, ridge, dtype=torch.float64)
            metric.refresh(curvature)
        local = metric.to_eigenbasis(basis.from_features(gradient).to(metric.dtype))
        bound = _bound(problem, theta, ridge, value, gradient)
        estimate = gap_estimate(local, metric, ridge, value=value, safety=safety)
        gap = min(estimate, bound) / value
        return cls(theta, value, gradient, bound, gap, passes)

    def certificate(
        self, problem: HeadProblem, *, tol: float, n_iter: int, passes: float, solver: str
    ) -> Certificate:
        """Return what is known, given how the head was found."""
        basis = problem.basis
        # At a fixed intercept of uncentred features the weights' gradient gains the mean's share.
        uncentred = self.gradient.clone()
        uncentred[:, :-1] += torch.outer(self.gradient[:, -1], basis.mean)
        return Certificate(
            objective=self.value,
            gradient_norm=uncentred.norm().item(),
            gap_bound=self.gap_bound,
            relative_gap=self.relative_gap,
            converged=self.relative_gap <= tol,
            n_iter=n_iter,
            passes=passes,
            solver=solver,
        )


def _settled(
    problem: HeadProblem, objective: FusedObjective, theta: Tensor, slack: float
) -> tuple[Tensor, Evaluation]:
    """Settle the intercepts by Newton's method, a pass for each step; until they hardly matter.

    The duality gap wants mean predictions that equal the class frequencies.
    """
    here = objective.evaluate(theta, curvature=True)
    for _ in range(_SETTLE_PASSES):
        gradient = here.gradient
        bound = _bound(problem, theta, objective.ridge, here.value, gradient)
        own = dot(gradient[:, :-1], gradient[:, :-1]) / (2 * objective.ridge)
        if bound - own <= max(own, slack * here.value):
            break
        assert here.curvature is not None
        shifted = theta.clone()
        shifted[:, -1] += newton_shift(here.curvature, gradient[:, -1])
        there = objective.evaluate(shifted, curvature=True)
        if not there.gradient[:, -1].norm() < 0.5 * gradient[:, -1].norm():
            break
        theta, here = shifted, there
    return theta, here


def _bound(
    problem: HeadProblem, theta: Tensor, ridge: float, value: float, gradient: Tensor
) -> float:
    return gap_bound(problem.loss, ridge, theta, value, gradient, problem.basis.row_norms)
