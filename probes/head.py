"""Head: a fitted linear map from features to logits, and the solve that finds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from featstore.probes.anchored_objective import AnchoredObjective
from featstore.probes.certificate import Certificate
from featstore.probes.device import threads_for
from featstore.probes.fused_lbfgs import minimise_in_passes
from featstore.probes.fused_objective import FusedObjective
from featstore.probes.head_problem import HeadProblem
from featstore.probes.lbfgs import minimise
from featstore.probes.objective import Objective
from featstore.probes.optimality import Optimality
from featstore.probes.path_point import PathPoint
from featstore.probes.preconditioner import KroneckerMetric

_SEARCH_TOL = 0.6  # of tol: room for the evaluation in float64 to differ from the solver's
_SECOND_SEARCH_TOL = 0.05  # where that room was too small
_SLACK = 1.0  # times tol: what intercepts may add to the bound before they are settled


@dataclass(frozen=True, eq=False)
class Head:
    """A linear head over raw features.

    Attributes
    ----------
    coef, intercept
        Shapes (c, d) and (c,), float64; (1, d) and (1,) for two classes.
    certificate
        How far from the optimum.
    point
        Where it lies on a path: a start for another C.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    certificate: Certificate
    point: PathPoint


def fit_head(
    problem: HeadProblem, *, C: float, tol: float, max_iter: int, start: PathPoint | None = None
) -> Head:
    """Minimise the mean loss + ‖W‖² / (2 C n) in the basis; certify on the raw features.

    Parameters
    ----------
    problem
        Features, loss and basis.
    C, tol, max_iter
        As for `LogisticProbe`.
    start
        `Head.point` of another C, same problem; default all weights zero.
    """
    basis, loss, memory = problem.basis, problem.loss, problem.memory
    ridge = problem.ridge(C)
    search_tol, precision = _SEARCH_TOL * tol, basis.design.dtype
    tangent, pairs = None, memory.new_pairs()
    if start is None:
        theta = problem.start()
    else:
        theta, tangent = start.theta, start.tangent(ridge)
        pairs = start.pairs.at_ridge(ridge - start.ridge, dtype=precision)
    n_iter, passes = 0, 0.0
    precisions: list[str] = []
    while True:
        metric = KroneckerMetric(basis, ridge, dtype=precision)
        objective: Objective | FusedObjective
        with threads_for(4.0 * basis.design.numel() * loss.n_columns, basis.design.device):
            if memory.fused:
                objective = FusedObjective(
                    basis.design, loss, ridge, dtype=precision, block_rows=memory.block_rows
                )
                minimum = minimise_in_passes(
                    objective,
                    metric,
                    theta,
                    tol=search_tol,
                    max_iter=max_iter - n_iter,
                    tangent=tangent,
                    pairs=pairs,
                )
            else:
                objective = _objective(problem, ridge, precision)
                minimum = minimise(
                    objective,
                    metric,
                    theta,
                    tol=search_tol,
                    max_iter=max_iter - n_iter,
                    tangent=tangent,
                    pairs=pairs,
                    blocks=memory.blocks,
                )
                objective.step_exactly()  # the certificate needs the memory of its anchor
        theta, tangent, pairs = minimum.theta, None, minimum.pairs
        n_iter += minimum.n_iter
        if isinstance(objective, AnchoredObjective):
            precisions.append("bfloat16")
        precisions.append(str(precision).removeprefix("torch."))
        found = Optimality.of(
            problem,
            basis.to_features(theta.double()),
            ridge,
            metric,
            safety=minimum.safety,
            slack=_SLACK * tol,
        )
        passes += objective.passes + found.passes
        if found.relative_gap <= tol or n_iter == max_iter:
            break
        if minimum.converged and search_tol > _SECOND_SEARCH_TOL * tol:
            search_tol = _SECOND_SEARCH_TOL * tol
        elif precision != torch.float64:
            # Where float32 does not lead to tol, float64 products over its float32 design go on.
            precision, pairs = torch.float64, memory.new_pairs()
        else:
            break
    way = "+".join(dict.fromkeys(precisions)) + (" in passes" if memory.fused else "")
    certificate = found.certificate(
        problem,
        tol=tol,
        n_iter=n_iter,
        passes=passes,
        solver=f"kfac-lbfgs {way}",
    )
    coef, intercept = problem.raw(found.theta)
    point = PathPoint(ridge, theta, minimum.pairs).after(start)
    return Head(coef.cpu().numpy(), intercept.cpu().numpy(), certificate, point)


def _objective(problem: HeadProblem, ridge: float, dtype: torch.dtype) -> Objective:
    """Return what is minimised where logits are kept; its steps rounded where that is quicker."""
    basis, loss = problem.basis, problem.loss
    if basis.rounds and problem.memory.rounds and dtype == torch.float32:
        return AnchoredObjective(basis.resident, basis.rounded_design, loss, ridge)
    return Objective(basis.design, loss, ridge, dtype=dtype)
