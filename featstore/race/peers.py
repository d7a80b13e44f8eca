"""Peers: how scikit-learn fits logistic regression, each solver writing down its way.

Every peer minimises the same objective without stopping by itself (its tolerance is far below what
is measured), so that its time to any accuracy can be read off its trajectory.  It is given that
for nothing: a user has to guess a tolerance.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.race.problem import Problem
from featstore.race.trajectory import StopError, Trajectory

MOST_ITERATIONS = 100_000
_TINY = 1e-14

Peer = Callable[[Problem, Trajectory], None]


def lbfgs_of_scikit_learn(dtype: type[np.floating[Any]]) -> Peer:
    """`LogisticRegression`, its default solver, on features of a precision."""

    def run(problem: Problem, trajectory: Trajectory) -> None:
        from sklearn.linear_model import LogisticRegression

        module = importlib.import_module("sklearn.linear_model._logistic")
        with watched_minimize(module, _by_class(problem), trajectory):
            fit(LogisticRegression, problem, dtype)

    return run


def newton_cg_of_scikit_learn(problem: Problem, trajectory: Trajectory) -> None:
    """`LogisticRegression(solver="newton-cg")`: Hessian products and a line search per step."""
    from sklearn.linear_model import LogisticRegression

    module: Any = importlib.import_module("sklearn.linear_model._logistic")
    solver = module._newton_cg

    def watched(**arguments: Any) -> Any:
        grad_hess = arguments["grad_hess"]

        def noted(w: NDArray[Any], *rest: Any) -> Any:
            trajectory.add(lambda: _by_class(problem)(w))
            return grad_hess(w, *rest)

        return solver(**{**arguments, "grad_hess": noted})

    with _replaced(module, "_newton_cg", watched):
        fit(LogisticRegression, problem, np.float64, solver="newton-cg")


def scikit_learn_peers() -> dict[str, Peer]:
    """Name scikit-learn's ways that come to any accuracy: in float64."""
    return {
        "scikit-learn lbfgs": lbfgs_of_scikit_learn(np.float64),
        "scikit-learn newton-cg": newton_cg_of_scikit_learn,
    }


def run(
    peer: Peer,
    problem: Problem,
    *,
    budget: float,
    is_enough: Callable[[NDArray[Any]], bool] | None = None,
) -> Trajectory:
    """Run a peer until it stops, its CPU seconds are used up, or its parameters are good enough."""
    trajectory = Trajectory(budget, is_enough)
    with suppress(StopError), warnings.catch_warnings():
        # Line searches that end at the limits of rounding.
        warnings.filterwarnings("ignore", message="(?i).*line search")
        peer(problem, trajectory)
    return trajectory


def fit(
    estimator: Any, problem: Problem, dtype: type[np.floating[Any]], *, solver: str = "lbfgs"
) -> None:
    """Fit an estimator with scikit-learn's arguments as far as it goes."""
    from sklearn.exceptions import ConvergenceWarning

    model = estimator(C=problem.C, solver=solver, tol=_TINY, max_iter=MOST_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(problem.X.astype(dtype), problem.y)


@contextmanager
def watched_minimize(
    module: Any, by_class: Callable[[NDArray[Any]], NDArray[Any]], trajectory: Trajectory
) -> Iterator[None]:
    """Note every iterate of `scipy.optimize.minimize` as a module calls it."""
    optimize = module.optimize

    def minimize(function: Any, start: Any, **arguments: Any) -> Any:
        arguments["callback"] = lambda w: trajectory.add(lambda: by_class(w))
        options = {**arguments.get("options", {}), "maxfun": MOST_ITERATIONS, "ftol": 0.0}
        arguments["options"] = options
        return optimize.minimize(function, start, **arguments)

    with _replaced(module, "optimize", SimpleNamespace(minimize=minimize)):
        yield


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)


def _by_class(problem: Problem) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Shape scikit-learn's vector of parameters as (n_logits, d + 1)."""
    return lambda w: w.reshape(problem.n_logits, -1, order="F")
