"""Peers: how logistic regression is fitted elsewhere, each writing down its way.

Every peer minimises the same objective without stopping by itself (its tolerance is far below what
is measured), so that its time to any accuracy can be read off its trajectory.  It is given that
for nothing: a user has to guess a tolerance.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from logistic_race.problem import Problem
from logistic_race.trajectory import OutOfTimeError, Trajectory

_MOST_ITERATIONS = 100_000
_TINY = 1e-14

Peer = Callable[[Problem, Trajectory], None]


def lbfgs_of_scikit_learn(dtype: type[np.floating]) -> Peer:
    """`LogisticRegression`, its default solver."""

    def run(problem: Problem, trajectory: Trajectory) -> None:
        module = importlib.import_module("sklearn.linear_model._logistic")
        with _watched_minimize(module, _by_class(problem), trajectory):
            _fit(LogisticRegression, problem, dtype)

    return run


def newton_cg_of_scikit_learn(problem: Problem, trajectory: Trajectory) -> None:
    """`LogisticRegression(solver="newton-cg")`: Hessian products and a line search per step."""
    module: Any = importlib.import_module("sklearn.linear_model._logistic")
    solver = module._newton_cg

    def watched(**arguments: Any) -> Any:
        grad_hess = arguments["grad_hess"]

        def noted(w: NDArray[Any], *rest: Any) -> Any:
            trajectory.add(lambda: _by_class(problem)(w))
            return grad_hess(w, *rest)

        return solver(**{**arguments, "grad_hess": noted})

    with _replaced(module, "_newton_cg", watched):
        _fit(LogisticRegression, problem, np.float64, solver="newton-cg")


def lbfgs_of_scikit_learn_intelex(problem: Problem, trajectory: Trajectory) -> None:
    """oneDAL's loss and gradient under SciPy's L-BFGS."""
    from sklearnex.linear_model import LogisticRegression as Accelerated

    def by_class(w: NDArray[Any]) -> NDArray[Any]:
        return np.roll(w.reshape(problem.n_classes, -1), -1, axis=1)  # its intercepts come first

    module = importlib.import_module("daal4py.sklearn.linear_model.logistic_path")
    with _watched_minimize(module, by_class, trajectory):
        _fit(Accelerated, problem, np.float64)


def lbfgs_of_torch(problem: Problem, trajectory: Trajectory) -> None:
    """`torch.optim.LBFGS` on all rows with a strong-Wolfe search, as torchgeo-bench fits."""
    X = torch.from_numpy(problem.X.astype(np.float32))
    y = torch.from_numpy(problem.y)
    head = torch.nn.Linear(X.shape[1], problem.n_classes)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(
        head.parameters(),
        lr=1.0,
        max_iter=1,
        max_eval=25,
        history_size=10,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(head(X), y)
        loss = loss + head.weight.square().sum() / (2 * problem.C * len(X))
        loss.backward()
        return loss

    def theta() -> NDArray[Any]:
        return torch.cat([head.weight, head.bias[:, None]], 1).detach().numpy()

    previous, unchanged = np.inf, 0
    for _ in range(_MOST_ITERATIONS):
        value = optimizer.step(closure).item()
        trajectory.add(theta)
        unchanged = unchanged + 1 if value >= previous else 0
        previous = min(previous, value)
        if unchanged == 10 or not np.isfinite(value):  # rounding in float32 ends the way
            return


def peers() -> dict[str, Peer]:
    """Name the peers whose packages are there."""
    found: dict[str, Peer] = {
        "scikit-learn lbfgs": lbfgs_of_scikit_learn(np.float64),
        "scikit-learn lbfgs float32": lbfgs_of_scikit_learn(np.float32),
        "scikit-learn newton-cg": newton_cg_of_scikit_learn,
        "torch.optim.LBFGS": lbfgs_of_torch,
    }
    if find_spec("sklearnex"):
        found["scikit-learn-intelex"] = lbfgs_of_scikit_learn_intelex
    return found


def run(peer: Peer, problem: Problem, *, budget: float) -> Trajectory:
    """Run a peer until it stops or its CPU seconds are used up."""
    trajectory = Trajectory(budget)
    with suppress(OutOfTimeError), warnings.catch_warnings():
        # Line searches that end at the limits of rounding.
        warnings.filterwarnings("ignore", message="(?i)(the )?line search")
        peer(problem, trajectory)
    return trajectory


def _fit(
    estimator: Any, problem: Problem, dtype: type[np.floating], *, solver: str = "lbfgs"
) -> None:
    model = estimator(C=problem.C, solver=solver, tol=_TINY, max_iter=_MOST_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(problem.X.astype(dtype), problem.y)


@contextmanager
def _watched_minimize(
    module: Any, by_class: Callable[[NDArray[Any]], NDArray[Any]], trajectory: Trajectory
) -> Iterator[None]:
    """Note every iterate of `scipy.optimize.minimize` as a module calls it."""
    optimize = module.optimize

    def minimize(function: Any, start: Any, **arguments: Any) -> Any:
        arguments["callback"] = lambda w: trajectory.add(lambda: by_class(w))
        options = {**arguments.get("options", {}), "maxfun": _MOST_ITERATIONS, "ftol": 0.0}
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
    """Shape scikit-learn's vector of parameters as (k, d + 1)."""
    return lambda w: w.reshape(problem.n_classes, -1, order="F")
