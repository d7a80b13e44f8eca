"""Time many small logistic regressions, solved together, against a loop of scikit-learn's.

    python benchmarks/few_shot.py                                # digits
    python benchmarks/few_shot.py features.npz --rows 20000 --threads 1 --json out.json

Three tasks, as few-shot evaluations have them:

- 10-way 16-shot, 10 draws x 3 values of C;
- 10-way 5-shot, 30 draws x 3 values of C;
- 1,000 five-way five-shot episodes with 15 queries per class, C = 1.

Fits and predictions are timed together: every head scores 1,000 rows that were not drawn, or its
episode's queries.  The two take turns within each repeat; times are medians, ratios are medians of
the ratios within a repeat, above 1 where featstore is faster.  `excess` says how far the worst
problem's objective is above the optimum (a tight Newton fit), relative to it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from featstore.episode_draws import EpisodeDraws
from featstore.probes import LogisticProbe
from featstore.probes.subset_logistic import logistic_subsets
from featstore.shot_draws import ShotDraws
from store_harness.machine import describe

CS = (0.01, 0.1, 1.0)
_CHECKED = 6  # problems whose optimum is computed
_SCORED = 1000


@dataclass(frozen=True)
class Task:
    """Subsets to fit on, each with the rows it is asked about."""

    name: str
    subsets: list[NDArray[np.intp]]
    asked: list[NDArray[np.intp]]
    Cs: tuple[float, ...]


@dataclass(frozen=True)
class Timing:
    """One task by both."""

    task: str
    fits: int
    wall_s: float
    cpu_s: float
    sklearn_wall_s: float
    sklearn_cpu_s: float
    wall_ratio: float
    cpu_ratio: float
    agreement: float
    excess: float
    sklearn_excess: float
    converged: int


def tasks(X: NDArray[Any], y: NDArray[Any], episodes: int) -> list[Task]:
    """Draw the three tasks."""
    ids, rows = np.arange(len(X)).astype(str), np.arange(len(X))
    classes = np.unique(y).astype(str).tolist()
    found = []
    for shots, draws in ((16, 10), (5, 30)):
        drawn = ShotDraws((shots,), draws=draws).draw(rows, y, ids, classes=classes)
        subsets = [one.subset.rows for one in drawn]
        rest = np.setdiff1d(rows, np.concatenate(subsets))[:_SCORED]
        name = f"{len(classes)}-way {shots}-shot x {draws} draws x {len(CS)} C"
        found.append(Task(name, subsets, [rest] * len(subsets), CS))
    drawn = EpisodeDraws(way=5, shots=5, queries=15, episodes=episodes).draw(
        (rows, y), (rows, y), ids, classes=classes
    )
    name = f"{episodes} five-way five-shot episodes"
    found.append(Task(name, list(drawn.support), list(drawn.queries), (1.0,)))
    return found


def together(X: NDArray[Any], y: NDArray[Any], task: Task) -> dict[tuple[int, float], Any]:
    """Predictions of featstore, by subset and C."""
    predicted = {}
    same = all(rows is task.asked[0] for rows in task.asked)
    used, asked = (np.unique(np.concatenate(rows)) for rows in (task.subsets, task.asked))
    found = LogisticProbe().score_subsets(
        X[used],
        y[used],
        [np.searchsorted(used, rows) for rows in task.subsets],
        X[asked],
        task.Cs,
        asked=None if same else [np.searchsorted(asked, rows) for rows in task.asked],
    )
    for one in found:
        predicted[one.subset, one.value] = one.classes[one.scores.argmax(axis=1)]
    return predicted


def loop(X: NDArray[Any], y: NDArray[Any], task: Task) -> dict[tuple[int, float], Any]:
    """Predictions of scikit-learn, by subset and C."""
    predicted = {}
    for i, rows in enumerate(task.subsets):
        for C in task.Cs:
            model = LogisticRegression(C=C, max_iter=1000).fit(X[rows], y[rows])
            predicted[i, C] = model.predict(X[task.asked[i]])
    return predicted


def excesses(X: NDArray[Any], y: NDArray[Any], task: Task) -> tuple[float, float, int]:
    """Largest relative excess of featstore and scikit-learn, and featstore's converged fits."""
    X = X.astype(np.float64)
    heads, converged = {}, 0
    for found in logistic_subsets(X, y, task.subsets, task.Cs):
        converged += int(found.converged.sum())
        for i, coef, intercept in zip(found.subsets, found.coef, found.intercept, strict=True):
            heads[int(i), found.C] = coef, intercept
    worst = np.zeros(2)
    stride = max(1, len(task.subsets) * len(task.Cs) // _CHECKED)
    for i, C in list(heads)[::stride]:
        A, b = X[task.subsets[i]], y[task.subsets[i]]
        # The optimum is the same in the space that the rows span, where Newton's method is cheap.
        Z = np.linalg.qr(A.T)[1].T
        newton = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=1000)
        reference = objective(Z, b, C, *_head(newton.fit(Z, b)))
        usual = objective(A, b, C, *_head(LogisticRegression(C=C, max_iter=1000).fit(A, b)))
        ours = objective(A, b, C, *heads[i, C])
        worst = np.maximum(worst, (np.array([ours, usual]) - reference) / reference)
    return float(worst[0]), float(worst[1]), converged


def _head(model: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    return model.coef_, model.intercept_


def objective(
    X: NDArray[Any], y: NDArray[Any], C: float, coef: NDArray[Any], intercept: NDArray[Any]
) -> float:
    """scikit-learn's objective over C n, for three and more classes."""
    Z = X @ coef.T + intercept
    truth = np.take_along_axis(Z, np.unique(y, return_inverse=True)[1][:, None], axis=1)
    loss = (logsumexp(Z, axis=1) - truth[:, 0]).mean()
    return float(loss + (coef**2).sum() / (2 * C * len(X)))


def race(X: NDArray[Any], y: NDArray[Any], task: Task, *, repeats: int) -> Timing:
    """Run both `repeats` times, in turns."""
    runners: tuple[Callable[..., Any], ...] = (together, loop)
    wall, cpu = np.empty((2, repeats)), np.empty((2, repeats))
    predicted: list[dict[tuple[int, float], Any]] = [{}, {}]
    for repeat in range(repeats):
        for which in (0, 1) if repeat % 2 == 0 else (1, 0):
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            predicted[which] = runners[which](X, y, task)
            cpu[which, repeat] = time.process_time() - cpu_start
            wall[which, repeat] = time.perf_counter() - wall_start
    agreement = np.mean([(predicted[0][key] == predicted[1][key]).mean() for key in predicted[1]])
    return Timing(
        task.name,
        len(predicted[1]),
        *(float(np.median(times[0])) for times in (wall, cpu)),
        *(float(np.median(times[1])) for times in (wall, cpu)),
        *(float(np.median(times[1] / times[0])) for times in (wall, cpu)),
        float(agreement),
        *excesses(X, y, task),
    )


def main() -> None:
    """Read the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, help=".npz with X (n, d) and y (n,)")
    parser.add_argument("--rows", type=int, help="only the first so many")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="write machine and timings to this file")
    arguments = parser.parse_args()

    if arguments.data is not None:
        with np.load(arguments.data) as file:
            X, y = file["X"][: arguments.rows].astype(np.float32), file["y"][: arguments.rows]
    else:
        X, y = load_digits(return_X_y=True)
        X = (X / 16).astype(np.float32)
    facts = describe(Path.cwd(), {"numpy", "scipy", "scikit-learn", "torch"})
    facts["threads"] = arguments.threads
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    print(f"X {X.shape} {X.dtype}, {len(np.unique(y))} classes, {arguments.repeats} repeats")
    print(f"{'':42}{'featstore':>16}{'scikit-learn':>16}{'ratio':>14}{'excess':>20}")
    print(
        f"{'task':42}{'wall s':>8}{'CPU s':>8}{'wall s':>8}{'CPU s':>8}{'wall':>7}{'CPU':>7}"
        f"{'ours':>10}{'sklearn':>10} agree"
    )
    torch.set_num_threads(arguments.threads)
    timings = []
    with threadpool_limits(arguments.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for task in tasks(X, y, arguments.episodes):
            row = race(X, y, task, repeats=arguments.repeats)
            timings.append(row)
            print(
                f"{row.task:42}{row.wall_s:8.2f}{row.cpu_s:8.2f}{row.sklearn_wall_s:8.2f}"
                f"{row.sklearn_cpu_s:8.2f}{row.wall_ratio:7.1f}{row.cpu_ratio:7.1f}"
                f"{row.excess:10.1e}{row.sklearn_excess:10.1e} {row.agreement:.4f}"
                + ("" if row.converged == row.fits else f" ({row.converged} converged)")
            )
    if arguments.json:
        document = {
            "machine": facts,
            "data": {
                "source": arguments.data.name if arguments.data else "digits",
                "shape": X.shape,
            },
            "timings": [asdict(row) for row in timings],
        }
        arguments.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
