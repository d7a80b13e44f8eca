"""Peers: how logistic regression is fitted elsewhere, beside scikit-learn's own solvers.

See `featstore.race.peers` for what they have in common.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featstore.race.peers import (
    MOST_ITERATIONS,
    Peer,
    fit,
    lbfgs_of_scikit_learn,
    scikit_learn_peers,
    watched_minimize,
)
from featstore.race.problem import Problem
from featstore.race.trajectory import Trajectory


def lbfgs_of_scikit_learn_intelex(problem: Problem, trajectory: Trajectory) -> None:
    """oneDAL's loss and gradient under SciPy's L-BFGS."""
    from sklearnex.linear_model import LogisticRegression as Accelerated

    def by_class(w: NDArray[Any]) -> NDArray[Any]:
        return np.roll(
            w.reshape(int(problem.y.max()) + 1, -1), -1, axis=1
        )  # its intercepts come first

    module = importlib.import_module("daal4py.sklearn.linear_model.logistic_path")
    with watched_minimize(module, by_class, trajectory):
        fit(Accelerated, problem, np.float64)


def lbfgs_of_torch(problem: Problem, trajectory: Trajectory) -> None:
    """`torch.optim.LBFGS` on all rows with a strong-Wolfe search, as torchgeo-bench fits."""
    X = torch.from_numpy(problem.X.astype(np.float32))
    y = torch.from_numpy(problem.y)
    head = torch.nn.Linear(X.shape[1], int(problem.y.max()) + 1)
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
    for _ in range(MOST_ITERATIONS):
        value = optimizer.step(closure).item()
        trajectory.add(theta)
        unchanged = unchanged + 1 if value >= previous else 0
        previous = min(previous, value)
        if unchanged == 10 or not np.isfinite(value):  # rounding in float32 ends the way
            return


def peers() -> dict[str, Peer]:
    """Name the peers whose packages are there."""
    found = {
        **scikit_learn_peers(),
        "scikit-learn lbfgs float32": lbfgs_of_scikit_learn(np.float32),
        "torch.optim.LBFGS": lbfgs_of_torch,
    }
    if find_spec("sklearnex"):
        found["scikit-learn-intelex"] = lbfgs_of_scikit_learn_intelex
    return found
