"""Time the SVM probe against scikit-learn's LinearSVC.

    python benchmarks/svm.py                                     # digits
    python benchmarks/svm.py features.npz --rows 20000 --repeats 3 --threads 1 --json out.json
    python benchmarks/svm.py --synthetic 5000 512 20

The two take turns within each repeat, first the one and then the other, so that a busy machine is
busy for both; times are medians, ratios are medians of the ratios within a repeat, above 1 where
featstore is faster.  `gap` is the relative duality gap that each ends with, the worst over the
values of C: LinearSVC's weights are held against the same bound.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from closed_forms import synthetic
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from featstore.presets import preset
from featstore.probes import SVMProbe
from store_harness.machine import describe

#: Task -> values of C, and the probe's arguments.
TASKS: dict[str, tuple[tuple[float, ...], dict[str, Any]]] = {
    "vissl-svm": (preset("vissl-svm").values, dict(preset("vissl-svm").arguments)),
    "vissl-voc07": (preset("vissl-voc07").values, dict(preset("vissl-voc07").arguments)),
    "C = 0.01": ((0.01,), {"intercept_scaling": 1.0}),
    "C = 1": ((1.0,), {"intercept_scaling": 1.0}),
}


@dataclass(frozen=True)
class Timing:
    """One task by both; `agreement` is the share of rows that both predict alike."""

    task: str
    wall_s: float
    cpu_s: float
    gap: float
    sklearn_wall_s: float
    sklearn_cpu_s: float
    sklearn_gap: float
    wall_ratio: float
    cpu_ratio: float
    agreement: float


def solve(
    X: NDArray[Any], y: NDArray[Any], task: str, engine: str, tol: float
) -> Iterator[tuple[float, NDArray[Any]]]:
    """Yield the gap of each C and the predictions."""
    Cs, arguments = TASKS[task]
    probe = SVMProbe(engine=engine, tol=tol, max_iter=2000, **arguments)  # type: ignore[arg-type]
    for _, proba in probe.sweep(X, y, X, Cs):
        yield probe.certificate_.relative_gap, proba.argmax(axis=1)


def race(
    X: NDArray[Any], y: NDArray[Any], task: str, *, repeats: int, sklearn_tol: float
) -> Timing:
    """Solve by both `repeats` times, in turns."""
    wall, cpu = np.empty((2, repeats)), np.empty((2, repeats))
    gaps, predicted = [0.0, 0.0], [y, y]
    for repeat in range(repeats):
        for which in (0, 1) if repeat % 2 == 0 else (1, 0):
            engine, tol = (("torch", 1e-6), ("sklearn", sklearn_tol))[which]
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            found = list(solve(X, y, task, engine, tol))
            cpu[which, repeat] = time.process_time() - cpu_start
            wall[which, repeat] = time.perf_counter() - wall_start
            gaps[which] = max(gap for gap, _ in found)
            predicted[which] = np.concatenate([codes for _, codes in found])
    return Timing(
        task,
        *(float(np.median(times[0])) for times in (wall, cpu)),
        gaps[0],
        *(float(np.median(times[1])) for times in (wall, cpu)),
        gaps[1],
        *(float(np.median(times[1] / times[0])) for times in (wall, cpu)),
        agreement=float((predicted[0] == predicted[1]).mean()),
    )


def main() -> None:
    """Read the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, help=".npz with X (n, d) and y (n,)")
    parser.add_argument("--rows", type=int, help="of the data, drawn at random")
    parser.add_argument("--synthetic", nargs=3, type=int, metavar=("N", "D", "CLASSES"))
    parser.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--tol", type=float, default=1e-4, help="LinearSVC's, its default 1e-4")
    parser.add_argument("--repeats", type=int, default=3)
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
        X = (X / 16).astype(np.float32)
    if arguments.rows:
        rows = np.random.default_rng(0).permutation(len(X))[: arguments.rows]
        X, y = X[rows], y[rows]
    facts = describe(Path.cwd(), {"numpy", "scipy", "scikit-learn", "torch"})
    facts["threads"] = arguments.threads
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    print(f"X {X.shape} {X.dtype}, {len(np.unique(y))} classes, {arguments.repeats} repeats")

    torch.set_num_threads(arguments.threads)
    print(f"{'':14}{'featstore':>24}{'LinearSVC':>24}{'ratio':>14}")
    print(
        f"{'task':14}{'wall s':>8}{'CPU s':>8}{'gap':>8}{'wall s':>8}{'CPU s':>8}{'gap':>8}"
        f"{'wall':>7}{'CPU':>7} agree"
    )
    timings = []
    with threadpool_limits(arguments.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for task in arguments.task:
            row = race(X, y, task, repeats=arguments.repeats, sklearn_tol=arguments.tol)
            timings.append(row)
            print(
                f"{row.task:14}{row.wall_s:8.2f}{row.cpu_s:8.2f}{row.gap:8.0e}"
                f"{row.sklearn_wall_s:8.2f}{row.sklearn_cpu_s:8.2f}{row.sklearn_gap:8.0e}"
                f"{row.wall_ratio:7.2f}{row.cpu_ratio:7.2f} {row.agreement:.4f}",
                flush=True,
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
