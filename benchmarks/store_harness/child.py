"""The process that `peak_memory` watches: gets ready, waits, does one operation, waits again."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from store_formats import contestants
from store_formats.contract import Format
from store_harness.operations import OPERATIONS
from store_harness.workload import Workload


def main() -> None:
    """Take turns with the parent: ready, go, done, end."""
    name, operation, path, source, rows, dim, dtype, *asked = sys.argv[1:]
    workload = Workload(int(rows), int(dim), dtype, *map(int, asked))
    contestant = contestants.load(name)
    _rehearse(contestant, operation, replace(workload, rows=min(workload.rows, 256)))
    if operation == "write":
        X = np.fromfile(source, dtype, workload.rows * workload.dim)
        X = X.reshape(workload.rows, workload.dim)
        contestant.prepare(Path(path), X)
        _wait("ready")
        contestant.write(Path(path), X)
        _wait("done")
        return
    reader = contestant.open(Path(path))
    _ = workload.gathered, workload.batches
    _wait("ready")
    values: Any = OPERATIONS[operation].run(reader, workload)
    _wait("done")
    del values


def _rehearse(contestant: Format, operation: str, workload: Workload) -> None:
    """Do it once with a few rows: what libraries import and start at first use is no part of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        X = workload.matrix()
        contestant.prepare(path, X)
        contestant.write(path, X)
        reader = contestant.open(path)
        if operation != "write":
            OPERATIONS[operation].run(reader, workload)
        reader.close()


def _wait(message: str) -> None:
    print(message, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
