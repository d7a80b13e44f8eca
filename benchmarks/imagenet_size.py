"""Time the probes on as many features as ImageNet has, made where they are used.

    python benchmarks/imagenet_size.py --device cuda --json imagenet-size-h200.json
    python benchmarks/imagenet_size.py --rows 20000 --queries 2000 --dim 256 --classes 100

By default 1,281,167 rows of 2048 float16 in 1000 classes, and as many queries as ImageNet has
validation rows.  The features are normally distributed around class means, with a spectrum that
falls as that of real backbones does, and rotated, so that no column is special; at large C they are
easier than real ones.  They lie in the memory of the host: a task is all that a probe does, the
check of the rows, the copy to the device, the fit and the answers to all queries.  Each runs
`--repeats` times after one that is not counted; `--only` picks tasks.  The document is written
after each task, so that a machine that is taken away loses one.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featstore.presets import PRESETS
from featstore.probes import KNNProbe, LogisticProbe, SGDProbe, logistic_path
from store_harness.machine import describe

#: Rows that are made at once.
BLOCK = 1 << 16
#: Singular values fall as the i-th index to this power: the first 10 of 2048 hold a third.
DECAY = -0.5
#: Distance of the class means from each other, in units of the noise: four of five rows are right.
SEPARATION = 7.0


@dataclass(frozen=True)
class Data:
    """Features (n, d) float16 and labels (n,), and the same of queries."""

    X: NDArray[np.float16]
    y: NDArray[np.int64]
    queries: NDArray[np.float16]
    answers: NDArray[np.int64]

    @classmethod
    def drawn(cls, n: int, m: int, d: int, k: int, device: torch.device) -> Data:
        """Draw n rows and m queries of k classes from one distribution, on a device."""
        source = torch.Generator(device).manual_seed(0)
        normal = partial(torch.randn, generator=source, device=device)
        scales = torch.arange(1, d + 1, device=device).pow(DECAY)
        rotation = torch.linalg.qr(normal(d, d))[0]
        means = SEPARATION * (2 * d) ** -0.5 * normal(k, d)

        def rows(count: int) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
            y = torch.randint(k, (count,), generator=source, device=device)
            X = np.empty((count, d), np.float16)
            for start in range(0, count, BLOCK):
                part = slice(start, start + BLOCK)
                drawn = (means[y[part]] + normal(len(y[part]), d)) * scales @ rotation
                X[part] = drawn.half().cpu().numpy()
            return X, y.cpu().numpy()

        return cls(*rows(n), *rows(m))


@dataclass(frozen=True)
class Timing:
    """One task: median over repeats, greatest memory of torch's on the device."""

    task: str
    wall_s: float
    walls_s: list[float]
    peak_bytes: int | None
    accuracy: float
    notes: dict[str, Any]


Task = Callable[[Data, str], tuple[Any, dict[str, Any]]]


def one_logistic(data: Data, device: str, *, C: float) -> tuple[Any, dict[str, Any]]:
    """Fit one exact head."""
    probe = LogisticProbe(C, device=device, tol=1e-4).fit(data.X, data.y)
    return probe, asdict(probe.certificate_)


def grid(data: Data, device: str) -> tuple[Any, dict[str, Any]]:
    """Fit the 45 heads of `dinov2-logreg`."""
    heads = list(
        logistic_path(data.X, data.y, PRESETS["dinov2-logreg"].values, tol=1e-4, device=device)
    )
    gaps = [head.certificate_.relative_gap for head in heads]
    return heads[len(heads) // 2], {
        "passes": sum(head.certificate_.passes for head in heads),
        "largest_relative_gap": max(gaps),
        "converged": sum(head.certificate_.converged for head in heads),
    }


def ninety_epochs(data: Data, device: str, *, products: str) -> tuple[Any, dict[str, Any]]:
    """Train by the paper's protocol."""
    return SGDProbe(0.4, device=device, products=products).fit(data.X, data.y), {}


def neighbours(data: Data, device: str) -> tuple[Any, dict[str, Any]]:
    """Keep the rows; what takes time are the answers."""
    return KNNProbe(20, device=device).fit(data.X, data.y), {}


TASKS: dict[str, Task] = {
    "logistic, C = 0.01": partial(one_logistic, C=0.01),
    "logistic, C = 1": partial(one_logistic, C=1.0),
    "SGD, 90 epochs, float32": partial(ninety_epochs, products="float32"),
    "SGD, 90 epochs, float16": partial(ninety_epochs, products="float16"),
    "kNN, all queries": neighbours,
    "logistic, 45 C": grid,
}


def timed(name: str, data: Data, device: str, repeats: int) -> Timing:
    """Run a task, with the answers to all queries, `repeats` times after a first."""
    cuda = device == "cuda"
    walls: list[float] = []
    for _ in range(repeats + 1):
        if cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        probe, notes = TASKS[name](data, device)
        answers = probe.predict(data.queries)
        walls.append(time.perf_counter() - start)
    return Timing(
        task=name,
        wall_s=median(walls[1:]),
        walls_s=walls,
        peak_bytes=torch.cuda.max_memory_allocated() if cuda else None,
        accuracy=float((answers == data.answers).mean()),
        notes=notes,
    )


def main() -> None:
    """Read the arguments, measure, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_281_167)
    parser.add_argument("--queries", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, help="of the processor [default: torch's]")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK")
    parser.add_argument("--json", type=Path, help="write machine and timings to this file")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    shape = arguments.rows, arguments.queries, arguments.dim, arguments.classes
    device = torch.device(arguments.device)
    document: dict[str, Any] = {
        "machine": describe(Path.cwd(), {"torch", "numpy"})
        | {
            "gpu": torch.cuda.get_device_name() if device.type == "cuda" else None,
            "threads": torch.get_num_threads(),
        },
        "data": dict(zip(("rows", "queries", "dim", "classes"), shape, strict=True)),
        "timings": [],
    }
    print("; ".join(f"{key} {value}" for key, value in document["machine"].items()))
    data = Data.drawn(*shape, device)
    print(f"{'task':28} {'s':>9} {'first s':>9} {'peak GB':>8} {'top-1':>7}")
    for name in arguments.only:
        line = timed(name, data, arguments.device, arguments.repeats)
        peak = "" if line.peak_bytes is None else f"{line.peak_bytes / 1e9:8.2f}"
        print(
            f"{name:28} {line.wall_s:9.3f} {line.walls_s[0]:9.3f} {peak:>8} {line.accuracy:7.2%}",
            flush=True,
        )
        document["timings"].append(asdict(line))
        if arguments.json:
            arguments.json.write_text(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
