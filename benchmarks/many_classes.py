"""Fit logistic regression with many classes below ceilings of memory: time, peak memory, accuracy.

    python benchmarks/many_classes.py                       # 20,000 x 256, 10,000 classes
    python benchmarks/many_classes.py --rows 5000 --classes 2000 --ceilings none 300MB

Every ceiling gets a process of its own.  Rows are normal around the centres of their classes, all
columns of one scale; the noise is as large as the centres are apart.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from featstore.probes import LogisticProbe
from store_harness.machine import describe

_C = 0.1


def draw(n: int, d: int, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows (n, d) around k centres, and their classes; every class has a row."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % k
    X = rng.standard_normal((k, d), np.float32)[y] + rng.standard_normal((n, d), np.float32)
    return X, y


def measure_here(ceiling: str | None, options: argparse.Namespace) -> dict[str, Any]:
    """Fit in this process."""
    torch.set_num_threads(options.threads)
    X, y = draw(options.rows, options.dim, options.classes)
    LogisticProbe(_C).fit(X[:200, :20], y[:200] % 5)  # libraries, loaded at first use
    before = _peak()
    wall, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe = LogisticProbe(_C, tol=options.tol, max_memory=ceiling).fit(X, y)
    found = probe.certificate_
    return {
        "max_memory": ceiling,
        "cpu_s": round(time.process_time() - cpu, 1),
        "wall_s": round(time.perf_counter() - wall, 1),
        "peak_gb": round((_peak() - before) / 1e9, 3),
        "passes": found.passes,
        "relative_gap": found.relative_gap,
        "converged": found.converged,
        "solver": found.solver,
    }


def _peak() -> int:
    """Most resident memory of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Read the arguments, measure, print a line for each ceiling."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--tol", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ceilings", nargs="+", default=["none", "1GB"], help="none, or e.g. 1GB")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        ceiling = options.ceilings[0]
        print(json.dumps(measure_here(None if ceiling == "none" else ceiling, options)))
        return
    lines = []
    for ceiling in options.ceilings:
        command = [sys.executable, __file__, "--here", "--ceilings", ceiling]
        for name in ("rows", "dim", "classes", "tol", "threads"):
            command += [f"--{name}", str(getattr(options, name))]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        lines.append(json.loads(done.stdout))
        print(lines[-1], flush=True)
    if options.json:
        shape = {name: getattr(options, name) for name in ("rows", "dim", "classes", "tol")}
        machine = describe(Path.cwd(), {"numpy", "torch"})
        document = {"machine": machine, **shape, "threads": options.threads, "results": lines}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
