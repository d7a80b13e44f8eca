"""Arrival: time to a given accuracy of logistic regression, ours and the peers' in turns."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore import registry
from featstore.race.peers import Peer, run
from featstore.race.problem import Problem
from featstore.race.trajectory import Trajectory

OURS = "featstore"
ACCURACIES = (1e-3, 1e-4, 1e-6)
_FURTHER = 0.9


@dataclass(frozen=True)
class Arrival:
    """When one solver came within `accuracy` of the optimum, relative to it.

    Times are medians over the repeats; None where it never did, or not within the budget: then
    `reached` is the nearest that it came, and `cpu_s` how long that took.  Ratios are medians of
    the ratios to featstore's time in the same repeat, above 1 where featstore is faster; for a
    solver that did not arrive they are a lower bound.
    """

    problem: str
    C: float
    solver: str
    accuracy: float
    arrived: bool
    cpu_s: float
    wall_s: float
    cpu_ratio: float
    wall_ratio: float
    reached: float
    steps: int


@dataclass(frozen=True)
class _Lap:
    cpu: float
    wall: float
    reached: float
    steps: int


def race(
    problem: Problem,
    peers: dict[str, Peer],
    *,
    repeats: int,
    budget: float,
    accuracies: Sequence[float] = ACCURACIES,
    shared: bool = False,
) -> tuple[list[Arrival], dict[str, float]]:
    """Run everybody `repeats` times, in turns.

    Parameters
    ----------
    problem
        What is minimised.
    peers
        By name.
    repeats
        How often everybody runs.
    budget
        CPU seconds after which a peer's run is stopped.
    accuracies
        Distances from the optimum, relative to it.
    shared
        Whether the budget is that of all runs of all peers: each has an equal part of what is left,
        and is stopped as soon as it has come to the last accuracy.

    Returns
    -------
    arrivals
        One for each solver and accuracy.
    optimum
        The least objective that anybody found, and how far above the minimum it is at most.
    """

    @cache
    def objective_of(content: bytes, shape: tuple[int, int], dtype: str) -> float:
        return problem.objective(np.frombuffer(content, dtype).reshape(shape))

    def objective(theta: NDArray[Any]) -> float:
        return objective_of(theta.tobytes(), theta.shape, theta.dtype.str)

    from sklearn.exceptions import ConvergenceWarning

    tight = registry.probe("logistic")(problem.C, tol=1e-9, max_iter=20_000, dtype="float64")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tight.fit(problem.X, problem.y)
    least = objective(_theta(tight))
    bound = tight.certificate_.gap_bound / least
    _warm_up(peers)
    ours: list[dict[float, _Lap]] = []
    theirs: list[dict[str, Trajectory]] = []
    # A little further than asked, should anybody find a lower optimum than this one.
    enough = (1 + min(accuracies) * _FURTHER) * least
    left = budget
    for repeat in range(repeats):
        ours.append({accuracy: _our_lap(problem, accuracy, objective) for accuracy in accuracies})
        ways: dict[str, Trajectory] = {}
        for name, peer in peers.items():
            if shared:
                runs = (repeats - repeat) * len(peers) - len(ways)
                ways[name] = run(
                    peer,
                    problem,
                    budget=left / runs,
                    is_enough=lambda theta: objective(theta) <= enough,
                )
                left = max(left - ways[name].cpu[-1], 0.0)
            else:
                ways[name] = run(peer, problem, budget=budget)
        theirs.append(ways)
    for trajectories in theirs:
        for trajectory in trajectories.values():
            least = min(least, objective(trajectory.thetas[-1]))

    laps: dict[tuple[str, float], list[tuple[_Lap, bool]]] = {}
    for accuracy in accuracies:
        laps[OURS, accuracy] = [
            (lap[accuracy], lap[accuracy].reached <= (1 + accuracy) * least) for lap in ours
        ]
        for name in peers:
            laps[name, accuracy] = []
            for trajectories in theirs:
                way = trajectories[name]
                at = way.first_below((1 + accuracy) * least, objective)
                i = len(way.thetas) - 1 if at is None else at
                lap = _Lap(way.cpu[i], way.wall[i], objective(way.thetas[i]), way.steps[i])
                laps[name, accuracy].append((lap, at is not None))
    arrivals = []
    for (name, accuracy), found in laps.items():
        own = [lap for lap, _ in laps[OURS, accuracy]]
        arrivals.append(
            Arrival(
                problem=problem.name,
                C=problem.C,
                solver=name,
                accuracy=accuracy,
                arrived=all(arrived for _, arrived in found),
                cpu_s=float(np.median([lap.cpu for lap, _ in found])),
                wall_s=float(np.median([lap.wall for lap, _ in found])),
                cpu_ratio=_ratio([lap.cpu for lap, _ in found], [lap.cpu for lap in own]),
                wall_ratio=_ratio([lap.wall for lap, _ in found], [lap.wall for lap in own]),
                reached=max(lap.reached for lap, _ in found) / least - 1,
                steps=max(lap.steps for lap, _ in found),
            )
        )
    return arrivals, {"objective": least, "relative_gap_bound": bound}


def _warm_up(peers: dict[str, Peer]) -> None:
    """Let everybody load what is loaded at first use."""
    rng = np.random.default_rng(0)
    small = Problem("noise", rng.standard_normal((300, 20), np.float32), np.arange(300) % 3, C=0.01)
    for peer in peers.values():
        run(peer, small, budget=1)


def _our_lap(problem: Problem, accuracy: float, objective: Any) -> _Lap:
    """Fit from nothing and stop by our own estimate: Gram basis and certificate included."""
    cpu, wall = time.process_time(), time.perf_counter()
    probe = registry.probe("logistic")(problem.C, tol=accuracy).fit(problem.X, problem.y)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return _Lap(cpu, wall, objective(_theta(probe)), probe.n_iter_)


def _theta(probe: Any) -> NDArray[Any]:
    return np.concatenate([probe.coef_, probe.intercept_[:, None]], axis=1)


def _ratio(theirs: list[float], ours: list[float]) -> float:
    return float(np.median(np.divide(theirs, ours)))
