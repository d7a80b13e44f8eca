"""Operations: what is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.race.reading import bit_sum
from store_formats.contract import Reader
from store_harness.workload import Workload


@dataclass(frozen=True)
class Operation:
    """One way to read.

    Attributes
    ----------
    name
        On the command line and in JSON.
    run
        Does it, and returns what has been read, so that freeing it is not timed.
    rows
        How many rows that reads.
    """

    name: str
    run: Callable[[Reader, Workload], Any]
    rows: Callable[[Workload], int]


def _load_into(reader: Reader, workload: Workload) -> None:
    reader.load_into(workload.out)


def _drain(batches: Iterable[NDArray[Any]]) -> None:
    for _ in batches:
        pass


def _n_rows(batches: Iterable[NDArray[Any]]) -> int:
    return sum(map(len, batches))


#: In the order of tables.
OPERATIONS = {
    operation.name: operation
    for operation in [
        Operation("load", lambda r, w: r.load(), lambda w: w.rows),
        Operation("load into", _load_into, lambda w: w.rows),
        Operation("scan", lambda r, w: bit_sum(r.blocks(w.block_rows)), lambda w: w.rows),
        Operation("gather", lambda r, w: r.gather(w.gathered), lambda w: len(w.gathered)),
        Operation(
            "gather sorted",
            lambda r, w: r.gather(np.sort(w.gathered)),
            lambda w: len(w.gathered),
        ),
        Operation(
            "batches", lambda r, w: _drain(r.batches(w.batches)), lambda w: _n_rows(w.batches)
        ),
        Operation(
            "few batches",
            lambda r, w: _drain(r.batches(w.few_batches)),
            lambda w: _n_rows(w.few_batches),
        ),
        Operation("epoch", lambda r, w: _drain(r.batches(w.epoch)), lambda w: w.rows),
    ]
}
WARM = ("load", "load into", "scan", "gather", "gather sorted", "batches")
COLD = ("load", "scan", "gather", "few batches", "epoch")
