"""Heads of logistic regressions that an engine solves, certified like those of our own solver."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.errors import InvalidInputError
from featstore.probes.curvature_pairs import CurvaturePairs
from featstore.probes.engines.linear import LinearEngine
from featstore.probes.head import Head
from featstore.probes.head_problem import HeadProblem
from featstore.probes.inputs import as_tensor
from featstore.probes.loss import Sigmoid, Softmax
from featstore.probes.optimality import Optimality
from featstore.probes.path_point import PathPoint
from featstore.probes.preconditioner import Precision, working_dtype


def engine_head(
    engine: LinearEngine,
    problem: HeadProblem,
    *,
    C: float,
    tol: float,
    max_iter: int,
    dtype: Precision,
) -> Head:
    """Have an engine fit a head; its intercepts are then moved to what is best for its weights.

    Parameters
    ----------
    engine
        Solves one softmax, one logit of two classes, or one logit per label, one after the other.
    problem, C, tol, max_iter
        As for `featstore.probes.head.fit_head`; the basis serves the certificate.
    dtype
        Precision that the engine is given the features in.

    Raises
    ------
    InvalidInputError
        If the features are not all in memory.
    """
    X = problem.stream.source
    if not isinstance(X, np.ndarray):
        raise InvalidInputError(
            f"engine={engine.name!r} needs all rows in memory; leave max_memory out, or use "
            "engine='torch'"
        )
    working = working_dtype(dtype, X.shape)
    rows = as_tensor(X).to(working).numpy()
    found = [
        engine.logistic(rows, codes, C=C, tol=tol, max_iter=max_iter, sample_weight=weights)
        for codes, weights in _problems(problem)
    ]
    mean = problem.basis.mean
    coef = torch.from_numpy(np.concatenate([solution.coef for solution in found])).to(mean)
    intercept = torch.from_numpy(np.concatenate([s.intercept for s in found])).to(mean)
    theta = torch.cat([coef, (intercept + coef @ mean)[:, None]], dim=1)
    ridge = problem.ridge(C)
    optimality = Optimality.of(problem, theta, ridge)
    certificate = optimality.certificate(
        problem,
        tol=tol,
        n_iter=max(solution.n_iter for solution in found),
        passes=optimality.passes,
        solver=f"{engine.name} {str(working).removeprefix('torch.')}",
    )
    coef, intercept = problem.raw(optimality.theta)
    point = PathPoint(ridge, problem.basis.from_features(optimality.theta), CurvaturePairs())
    return Head(coef.cpu().numpy(), intercept.cpu().numpy(), certificate, point)


def _problems(
    problem: HeadProblem,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64] | None]]:
    """Codes of the classes, and weights of the rows, of each problem that an engine solves."""
    loss = problem.loss
    if isinstance(loss, Softmax):
        yield loss.codes[:, 0].cpu().numpy(), _weights(problem, loss.weights)
    elif isinstance(loss, Sigmoid):
        for j in range(loss.n_columns):
            positive, weights = loss.column(j)
            yield positive.long().cpu().numpy(), _weights(problem, weights)


def _weights(problem: HeadProblem, weights: Tensor | None) -> NDArray[np.float64] | None:
    """Weights as they were given; those of a loss are divided by the mean of the rows'."""
    if weights is None:
        return None
    return np.asarray((weights * (problem.total_weight / len(problem.stream))).cpu())
