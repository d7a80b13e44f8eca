"""Race: contestants take turns within each repeat, in an order that changes with every repeat.

A busy machine is then busy for all of them, and nobody profits or suffers from the state in which
a particular other one leaves caches and memory.
"""

from __future__ import annotations

import gc
import itertools
import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store_formats.contract import Format, Reader
from store_harness import page_cache
from store_harness.operations import OPERATIONS, Operation, bit_sum
from store_harness.timing import Laps, Timing, compare
from store_harness.workload import Workload


@dataclass(frozen=True)
class Contestant:
    """A format, its files, and what is asked of it."""

    format: Format
    path: Path
    workload: Workload


@dataclass
class Race:
    """All measurements on one matrix.

    Parameters
    ----------
    limit
        Name of the contestant that the others are compared with.
    folder
        Scratch folder on the medium to measure.
    repeats
        Turns of each contestant.
    budget
        Seconds after which a contestant has no more turns at an operation, and which its batches
        may take in one turn; at least one turn and one batch are made.

    Attributes
    ----------
    contestants
        Those that wrote and read back all values.
    timings
        Results so far.
    gaps
        What could not be measured, and why.
    """

    limit: str
    folder: Path
    repeats: int
    budget: float
    contestants: dict[str, Contestant] = field(default_factory=dict)
    timings: list[Timing] = field(default_factory=list)
    gaps: list[dict[str, str]] = field(default_factory=list)

    def enter(self, contestant: Format, workload: Workload, X: NDArray[Any]) -> None:
        """Let a contestant write the values once and check that it reads back the same."""
        if contestant.most_rows is not None and contestant.most_rows < workload.rows:
            workload = replace(workload, rows=contestant.most_rows)
            X = X[: workload.rows]
        path = self._emptied(contestant.name)
        try:
            contestant.prepare(path, X)
            contestant.write(path, X)
            reader = contestant.open(path)
            workload = self._affordable(reader, workload)
            check(reader, workload, X)
            reader.close()
        except Exception as error:  # noqa: BLE001 - a gap in the table, whatever it was
            self.skip(contestant.name, "all", error)
            shutil.rmtree(path)
            return
        self.contestants[contestant.name] = Contestant(contestant, path, workload)

    def skip(self, name: str, operation: str, reason: object) -> None:
        """Note what could not be measured."""
        kind = f"{type(reason).__name__}: " if isinstance(reason, Exception) else ""
        self.gaps.append({"format": name, "operation": operation, "reason": f"{kind}{reason}"})

    def write(self, X: NDArray[Any]) -> None:
        """Time writing to fresh files; emptied at once, so that all use the same space.

        The memory that the page cache will take has just been used; see `bring_memory_in`.  Nothing
        is deleted before the end: for minutes ext4 passes over the inodes of deleted files, one by
        one, whenever it makes a file, and whoever makes several would pay for all turns before.
        """
        written = self._emptied("written")
        turns = itertools.count()

        def turn(contestant: Contestant) -> float:
            path = written / str(next(turns))
            path.mkdir()
            values = X[: contestant.workload.rows]
            contestant.format.prepare(path, values)
            os.sync()  # nobody pays for pages that another one left to be written
            bring_memory_in(values.nbytes)
            start = time.perf_counter()
            contestant.format.write(path, values)
            seconds = time.perf_counter() - start
            empty_files(path)
            return seconds

        self._take_turns("write", "write", turn, lambda c: c.workload.rows)
        shutil.rmtree(written)

    def open(self) -> None:
        """Time opening, up to the point where values can be asked for."""

        def turn(contestant: Contestant) -> float:
            bring_files_in(contestant)
            start = time.perf_counter()
            reader = contestant.format.open(contestant.path)
            seconds = time.perf_counter() - start
            reader.close()
            return seconds

        self._take_turns("open", "warm", turn, lambda c: c.workload.rows)

    def read_warm(self, operation: Operation) -> None:
        """Time reading from the page cache, on a reader that has just been opened.

        Batches are the exception: they are timed in the second of two passes, as all but the first
        epoch of a training are.
        """

        def turn(contestant: Contestant) -> float:
            bring_files_in(contestant)
            reader = contestant.format.open(contestant.path)
            if operation.name == "batches":
                operation.run(reader, contestant.workload)
            return _timed(operation, reader, contestant.workload)

        self._take_turns(operation.name, "warm", turn, lambda c: operation.rows(c.workload))

    def read_cold(self, operation: Operation) -> None:
        """Time reading from the medium, on a reader that has just been opened."""

        def turn(contestant: Contestant) -> float:
            if page_cache.drop(contestant.path) is None:
                raise OSError("nothing here drops files from the page cache")
            reader = contestant.format.open(contestant.path)
            return _timed(operation, reader, contestant.workload)

        self._take_turns(operation.name, "cold", turn, lambda c: operation.rows(c.workload))

    def _take_turns(
        self,
        operation: str,
        temperature: str,
        turn: Callable[[Contestant], float],
        rows: Callable[[Contestant], int],
    ) -> None:
        racing = dict(self.contestants)
        laps: dict[str, Laps] = {name: Laps(rows(c), {}) for name, c in racing.items()}
        order = random.Random(0)
        for repeat in range(self.repeats):
            for name in order.sample(list(racing), len(racing)):
                spent = sum(laps[name].seconds.values())
                if spent > self.budget and name != self.limit:
                    continue
                gc.collect()
                try:
                    seconds = turn(racing[name])
                except Exception as error:  # noqa: BLE001 - a gap in the table, whatever it was
                    self.skip(name, f"{operation}, {temperature}", error)
                    del racing[name], laps[name]
                    continue
                laps[name].seconds[repeat] = seconds
        if self.limit in laps:
            self.timings += compare(
                laps,
                limit=self.limit,
                operation=operation,
                temperature=temperature,
                row_bytes=self._row_bytes,
            )

    @property
    def _row_bytes(self) -> int:
        first = self.contestants[self.limit].workload
        return first.nbytes // first.rows

    def _affordable(self, reader: Reader, workload: Workload) -> Workload:
        """Ask for as many batches as fit the budget, going by the second of two batches."""
        few = replace(workload, n_batches=1)
        OPERATIONS["batches"].run(reader, few)
        start = time.perf_counter()
        OPERATIONS["batches"].run(reader, few)
        most = int(self.budget / (time.perf_counter() - start))
        return replace(workload, n_batches=max(min(workload.n_batches, most), 1))

    def _emptied(self, name: str) -> Path:
        path = self.folder / name.replace(" ", "_").lstrip(".")
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path


def check(reader: Reader, workload: Workload, X: NDArray[Any]) -> None:
    """Raise `ValueError` unless every operation reads back the values of `X`, bit by bit."""
    _check_equal("load", reader.load(), X)
    if bit_sum(reader.blocks(workload.block_rows)) != bit_sum([X]):
        raise ValueError("scan read other values than were written")
    _check_equal("gather", reader.gather(workload.gathered), X[workload.gathered])
    batches = workload.batches[:2]
    for rows, batch in zip(batches, reader.batches(batches), strict=True):
        _check_equal("batches", batch, X[rows])


def empty_files(folder: Path) -> None:
    """Give back the space of all files below a folder; their names stay."""
    for file in folder.rglob("*"):
        if file.is_file():
            os.truncate(file, 0)


def bring_files_in(contestant: Contestant) -> None:
    """Have all pages of a contestant's files in the page cache, as its own load leaves them.

    The system keeps a file in pages of 4 KiB or of up to 2 MiB, as whoever reads it asks, and
    mapping the former takes longer: a second pass finds what the first one left.
    """
    if not page_cache.is_present(contestant.path):
        reader = contestant.format.open(contestant.path)
        reader.load()
        reader.close()
        page_cache.bring_in(contestant.path)


def bring_memory_in(nbytes: int) -> None:
    """Touch free memory, and a quarter more, just before it is used.

    Under a hypervisor the first use of a page may cost ten times what is done with it, and who
    hits upon such pages is chance; seconds after it was freed, a page may be taken away again.
    """
    np.empty(nbytes + nbytes // 4, np.uint8).fill(1)


def _check_equal(operation: str, values: NDArray[Any], X: NDArray[Any]) -> None:
    same = values.dtype == X.dtype and values.shape == X.shape
    if not same or not np.array_equal(values.view(np.uint8), X.view(np.uint8)):
        raise ValueError(f"{operation} read other values than were written")


def _timed(operation: Operation, reader: Reader, workload: Workload) -> float:
    bring_memory_in(operation.rows(workload) * workload.nbytes // workload.rows)
    start = time.perf_counter()
    values = operation.run(reader, workload)
    seconds = time.perf_counter() - start
    del values
    reader.close()
    return seconds
