"""Time the probes at the size of ImageNet, each with all it does: check, copy to the device, fit.

    python benchmarks/imagenet.py --json imagenet.json       # 1,281,167 x 2048, 1,000 classes, CUDA
    python benchmarks/imagenet.py --only sgd knn
    python benchmarks/imagenet.py --device cpu --shape 3000 64 10 --queries 200   # does it run?

Features are float16, class means plus noise: accuracies say nothing, and how many passes a solver
needs is another matter with real ones, above all at large C, where these are separable.  Four
pieces of work: the linear evaluation of Cole et al. 2022 (90 epochs), one exact logistic
regression, the 45 values of C of the preset `dinov2-logreg` as one path, and the 20 nearest of all
queries.  Each is first done on few rows, outside the clock, which loads the libraries.  Memory is
the greatest of torch's on the device.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sgd import synthetic
from sklearn.exceptions import ConvergenceWarning

from featstore.presets import PRESETS
from featstore.probes import KNNProbe, LogisticProbe, SGDProbe
from featstore.probes.path import logistic_path
from store_harness.machine import describe

Rows = NDArray[np.float16]
Work = Callable[[Rows, NDArray[np.int64], Rows], str]
_FEW = 20_000


@dataclass(frozen=True)
class Timing:
    """A piece of work, done once."""

    work: str
    wall_s: float
    device_gb: float | None
    note: str


def works(device: Any, *, epochs: int, C: float, tol: float) -> dict[str, Work]:
    """Name the pieces of work; each returns what it has to say."""
    products: Any = "float16" if device == "cuda" else "float32"

    def sgd(X: Rows, y: NDArray[np.int64], queries: Rows) -> str:
        probe = SGDProbe(epochs=epochs, products=products, device=device).fit(X, y)
        return f"{epochs} epochs, {products} products, loss {probe.certificate_.loss:.4f}"

    def exact(X: Rows, y: NDArray[np.int64], queries: Rows) -> str:
        probe = LogisticProbe(C, tol=tol, device=device).fit(X, y)
        gap = probe.certificate_.relative_gap
        return f"C = {C:g}, {probe.n_iter_} iterations, certified to within {gap:.1e}"

    def grid(X: Rows, y: NDArray[np.int64], queries: Rows) -> str:
        values = PRESETS["dinov2-logreg"].values
        fitted = list(logistic_path(X, y, values, tol=tol, device=device))
        worst = max(probe.certificate_.relative_gap for probe in fitted)
        return f"{len(fitted)} values of C, the worst certified to within {worst:.1e}"

    def knn(X: Rows, y: NDArray[np.int64], queries: Rows) -> str:
        KNNProbe(20, device=device).fit(X, y).predict(queries)
        return f"{len(queries)} queries, k = 20"

    return {"sgd": sgd, "exact": exact, "grid": grid, "knn": knn}


def timed(name: str, work: Work, data: tuple[Any, Any, Any], device: str) -> Timing:
    """Do a piece of work on few rows, then on all."""
    X, y, queries = data
    few = len(y) if len(y) <= _FEW else _FEW
    work(X[:few], y[:few], queries[:100])
    on_cuda = device == "cuda"
    if on_cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    note = work(X, y, queries)
    if on_cuda:
        torch.cuda.synchronize()
    wall = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated() / 1e9 if on_cuda else None
    return Timing(name, wall, peak, note)


def main() -> None:
    """Read the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ["sgd", "exact", "grid", "knn"]
    parser.add_argument("--shape", nargs=3, type=int, metavar=("N", "D", "K"))
    parser.add_argument("--queries", type=int, default=50_000)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--C", type=float, default=0.01)
    parser.add_argument("--tol", type=float, default=1e-4)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--json", type=Path, help="write machine and timings to this file")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device; --device cpu --shape 3000 64 10 is a small run")

    n, d, k = arguments.shape or (1_281_167, 2048, 1000)
    rows, labels = synthetic(n + arguments.queries, d, k)
    data = rows[:n], labels[:n], rows[n:]
    facts = describe(Path.cwd(), {"numpy", "scikit-learn", "torch"})
    facts["gpu"] = torch.cuda.get_device_name() if arguments.device == "cuda" else None
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    print(f"X {data[0].shape} {rows.dtype}, {k} classes")
    timings = []
    chosen = works(arguments.device, epochs=arguments.epochs, C=arguments.C, tol=arguments.tol)
    for name in arguments.only:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the note says how near it is
            timing = timed(name, chosen[name], data, arguments.device)
        timings.append(timing)
        memory = "" if timing.device_gb is None else f"{timing.device_gb:6.1f} GB"
        print(f"{timing.work:8}{timing.wall_s:9.2f} s {memory}  {timing.note}", flush=True)
    if arguments.json:
        document = {
            "machine": facts,
            "shape": [n, d, k],
            "timings": [asdict(timing) for timing in timings],
        }
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
