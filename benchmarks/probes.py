"""Time LogisticProbe against scikit-learn, and say how near to the optimum each one came.

    python benchmarks/probes.py                                  # digits, C = 0.01 and 1
    python benchmarks/probes.py features.npz --C 0.01 --repeats 5 --threads 1 --json out.json

The solvers take turns within each repeat, so that a busy machine is busy for all of them; times
are medians, ratios are medians of the ratios within a repeat.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from featstore.probes import LogisticProbe

OURS = "featstore"


@dataclass(frozen=True)
class Timing:
    """One solver on one problem.

    `suboptimality` is (f - best) / best with f evaluated in float64; `cpu_ratio` and
    `wall_ratio` are relative to featstore, above 1 where featstore is faster.
    """

    solver: str
    C: float
    wall_s: float
    cpu_s: float
    wall_ratio: float
    cpu_ratio: float
    suboptimality: float
    n_iter: int
    warned: bool


def solvers(*, C: float, tol: float, max_iter: int) -> dict[str, Callable[[Any, Any], Any]]:
    """Name the contestants: functions from features and labels to a fitted model."""

    def scikit_learn(solver: str, dtype: type[np.floating]) -> Callable[[Any, Any], Any]:
        model = LogisticRegression(C=C, solver=solver, tol=tol, max_iter=max_iter)
        return lambda X, y: model.fit(X.astype(dtype, copy=False), y)

    return {
        OURS: lambda X, y: LogisticProbe(C).fit(X, y),
        "sklearn lbfgs float32": scikit_learn("lbfgs", np.float32),
        "sklearn lbfgs float64": scikit_learn("lbfgs", np.float64),
        "sklearn newton-cg float64": scikit_learn("newton-cg", np.float64),
    }


def objective(X: NDArray[Any], codes: NDArray[np.intp], model: Any, C: float) -> float:
    """scikit-learn's objective over C n, in float64, block by block."""
    coef = np.asarray(model.coef_, np.float64)
    intercept = np.asarray(model.intercept_, np.float64)
    total = 0.0
    for i in range(0, len(X), 8192):
        Z, y = X[i : i + 8192].astype(np.float64) @ coef.T + intercept, codes[i : i + 8192]
        if len(coef) == 1:
            Z = np.c_[np.zeros(len(Z)), Z]
        total += (logsumexp(Z, axis=1) - Z[np.arange(len(Z)), y]).sum()
    return float(total / len(X) + (coef**2).sum() / (2 * C * len(X)))


def measure(
    X: NDArray[Any], y: NDArray[Any], *, C: float, tol: float, max_iter: int, repeats: int
) -> list[Timing]:
    """Fit every solver `repeats` times, in turns."""
    codes = np.unique(y, return_inverse=True)[1]
    contestants = solvers(C=C, tol=tol, max_iter=max_iter)
    wall: dict[str, list[float]] = {name: [] for name in contestants}
    cpu: dict[str, list[float]] = {name: [] for name in contestants}
    models, warned = {}, dict.fromkeys(contestants, False)
    for _ in range(repeats):
        for name, fit in contestants.items():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ConvergenceWarning)
                wall_start, cpu_start = time.perf_counter(), time.process_time()
                models[name] = fit(X, y)
                cpu[name].append(time.process_time() - cpu_start)
                wall[name].append(time.perf_counter() - wall_start)
            warned[name] |= any(issubclass(w.category, ConvergenceWarning) for w in caught)
    found = {name: objective(X, codes, model, C) for name, model in models.items()}
    tight = LogisticProbe(C, tol=1e-10, max_iter=10_000, dtype="float64").fit(X, y)
    best = min(*found.values(), objective(X, codes, tight, C))
    print(
        f"C={C:g}: best objective {best:.9g}, certified to within "
        f"{tight.certificate_.gap_bound / best:.1e} of the optimum"
    )
    return [
        Timing(
            solver=name,
            C=C,
            wall_s=float(np.median(wall[name])),
            cpu_s=float(np.median(cpu[name])),
            wall_ratio=float(np.median(np.divide(wall[name], wall[OURS]))),
            cpu_ratio=float(np.median(np.divide(cpu[name], cpu[OURS]))),
            suboptimality=(found[name] - best) / best,
            n_iter=int(np.max(models[name].n_iter_)),
            warned=warned[name],
        )
        for name in contestants
    ]


def machine(threads: int) -> dict[str, Any]:
    """Describe what the numbers were taken on."""
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        **{lib.__name__: lib.__version__ for lib in (np, scipy, sklearn, torch)},
    }


def main() -> None:
    """Read the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, help=".npz with X (n, d) and y (n,)")
    parser.add_argument("--C", nargs="+", type=float, default=[0.01, 1.0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tol", type=float, default=1e-4, help="of scikit-learn (1e-4: its own)")
    parser.add_argument("--max-iter", type=int, default=1000, help="of scikit-learn")
    parser.add_argument("--json", type=Path, help="write machine and timings to this file")
    arguments = parser.parse_args()

    if arguments.data is None:
        X, y = load_digits(return_X_y=True)
        X = (X / 16).astype(np.float32)
    else:
        with np.load(arguments.data) as file:
            X, y = file["X"], file["y"]
    facts = machine(arguments.threads)
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    print(f"X {X.shape} {X.dtype}, {len(np.unique(y))} classes, {arguments.repeats} repeats")

    torch.set_num_threads(arguments.threads)
    timings = []
    with threadpool_limits(arguments.threads):
        for C in arguments.C:
            rows = measure(
                X, y, C=C, tol=arguments.tol, max_iter=arguments.max_iter, repeats=arguments.repeats
            )
            timings += rows
            print(
                f"{'solver':26} {'wall s':>9} {'ratio':>7} {'CPU s':>9} {'ratio':>7} "
                f"{'f/best - 1':>11} {'iterations':>10}"
            )
            for row in rows:
                print(
                    f"{row.solver:26} {row.wall_s:9.3f} {row.wall_ratio:7.2f} {row.cpu_s:9.3f} "
                    f"{row.cpu_ratio:7.2f} {row.suboptimality:11.1e} {row.n_iter:10d}"
                    + (" (not converged)" if row.warned else "")
                )
    if arguments.json:
        document = {
            "machine": facts,
            "data": {"source": str(arguments.data or "digits"), "shape": X.shape},
            "timings": [asdict(row) for row in timings],
        }
        arguments.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
