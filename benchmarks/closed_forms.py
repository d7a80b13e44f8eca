"""Time the closed-form probes against scikit-learn's estimators of the same names.

    python benchmarks/closed_forms.py                                # digits
    python benchmarks/closed_forms.py features.npz --repeats 5 --threads 1 --json out.json
    python benchmarks/closed_forms.py --synthetic 50000 768 100

The two of a pair take turns within each repeat, first the one and then the other, so that a busy
machine is busy for both; times are medians, ratios are medians of the ratios within a repeat, above
1 where featstore is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from threadpoolctl import threadpool_limits

from featstore.probes import CentroidProbe, GaussianProbe, LDAProbe, RidgeProbe
from store_harness.machine import describe

ALPHAS = tuple(np.logspace(-3, 4, 15))

#: Task -> featstore's estimator, scikit-learn's.
PAIRS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "ridge, alpha = 1": (lambda: RidgeProbe(1.0), lambda: RidgeClassifier(1.0)),
    "ridge, 15 alphas by leave-one-out": (
        lambda: RidgeProbe("loo", alphas=ALPHAS),
        lambda: RidgeClassifierCV(ALPHAS),
    ),
    "LDA, shrinkage = 0.1": (
        lambda: LDAProbe(0.1),
        lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
    ),
    "LDA, Ledoit-Wolf": (
        lambda: LDAProbe("auto"),
        lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    ),
    "nearest centroid": (CentroidProbe, NearestCentroid),
    "Gaussian naive Bayes": (GaussianProbe, GaussianNB),
}


@dataclass(frozen=True)
class Timing:
    """One task by both; `agreement` is the share of rows that both predict alike."""

    task: str
    wall_s: float
    cpu_s: float
    sklearn_wall_s: float
    sklearn_cpu_s: float
    wall_ratio: float
    cpu_ratio: float
    agreement: float


def race(X: NDArray[Any], y: NDArray[Any], task: str, *, repeats: int) -> Timing:
    """Fit both `repeats` times, in turns."""
    wall, cpu = np.empty((2, repeats)), np.empty((2, repeats))
    predicted: list[NDArray[Any]] = [y, y]
    for repeat in range(repeats):
        for which in (0, 1) if repeat % 2 == 0 else (1, 0):
            model = PAIRS[task][which]()
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            model.fit(X, y)
            cpu[which, repeat] = time.process_time() - cpu_start
            wall[which, repeat] = time.perf_counter() - wall_start
            if repeat == 0:
                predicted[which] = model.predict(X)
    return Timing(
        task,
        *(float(np.median(times[0])) for times in (wall, cpu)),
        *(float(np.median(times[1])) for times in (wall, cpu)),
        *(float(np.median(times[1] / times[0])) for times in (wall, cpu)),
        agreement=float((predicted[0] == predicted[1]).mean()),
    )


def synthetic(n: int, d: int, n_classes: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Overlapping classes whose covariance has a power-law spectrum, as that of deep features."""
    rng = np.random.default_rng(0)
    scales = np.arange(1, d + 1) ** -0.5
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    y = rng.integers(0, n_classes, size=n)
    X = rng.normal(size=(n, d)) + rng.normal(size=(n_classes, d))[y]
    return (X * scales @ rotation).astype(np.float32), y


def main() -> None:
    """Read the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, help=".npz with X (n, d) and y (n,)")
    parser.add_argument("--synthetic", nargs=3, type=int, metavar=("N", "D", "CLASSES"))
    parser.add_argument("--task", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="write machine and timings to this file")
    arguments = parser.parse_args()

    if arguments.data is not None:
        with np.load(arguments.data) as file:
            X, y = file["X"], file["y"]
    elif arguments.synthetic:
        X, y = synthetic(*arguments.synthetic)
    else:
        X, y = load_digits(return_X_y=True)
        keep = X.std(axis=0) > 0  # scikit-learn warns of constant columns
        X = (X[:, keep] / 16).astype(np.float32)
    facts = describe(Path.cwd(), {"numpy", "scipy", "scikit-learn", "torch"})
    facts["threads"] = arguments.threads
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    print(f"X {X.shape} {X.dtype}, {len(np.unique(y))} classes, {arguments.repeats} repeats")

    torch.set_num_threads(arguments.threads)
    print(f"{'':36}{'featstore':>18}{'scikit-learn':>18}{'ratio':>14}")
    print(
        f"{'task':36}{'wall s':>9}{'CPU s':>9}{'wall s':>9}{'CPU s':>9}{'wall':>7}{'CPU':>7} agree"
    )
    timings = []
    with threadpool_limits(arguments.threads):
        for task in arguments.task:
            row = race(X, y, task, repeats=arguments.repeats)
            timings.append(row)
            print(
                f"{row.task:36}{row.wall_s:9.3f}{row.cpu_s:9.3f}{row.sklearn_wall_s:9.3f}"
                f"{row.sklearn_cpu_s:9.3f}{row.wall_ratio:7.2f}{row.cpu_ratio:7.2f} "
                f"{row.agreement:.4f}"
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
