"""Reading: how fast a feature comes out of its store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.view import View

_BLOCK_ROWS = 4096
_BATCH_ROWS = 1024
#: Share of the rows that are gathered.
_GATHERED = 0.1
_MOST_REPEATS = 20
_WORD = np.dtype(np.uint64)


@dataclass(frozen=True)
class Reading:
    """One way to read, timed.

    Attributes
    ----------
    operation
        ``load``: all values of the view as a new array.  ``scan``: all values in order, each
        touched once, in blocks.  ``gather``: a tenth of the rows, in random order.  ``shuffled``:
        all rows in shuffled batches.
    first_mb_s, mb_s
        MB a second by the clock: the first time, when the medium may have to be asked, and the
        median of the times after that.
    rows_s
        Rows a second, likewise the median.
    repeats
        How often it was timed after the first.
    """

    operation: str
    first_mb_s: float
    mb_s: float
    rows_s: float
    repeats: int


def bit_sum(blocks: Iterable[NDArray[Any]]) -> int:
    """Touch every value once, as cheaply as memory allows: add all bits up as integers.

    Examples
    --------
    >>> bit_sum([np.ones(8, np.uint8)]) == int.from_bytes([1] * 8)
    True
    """
    total = 0
    for block in blocks:
        bits = block.reshape(-1).view(np.uint8)
        word = _WORD if bits.nbytes % _WORD.itemsize == 0 else np.dtype(np.uint16)
        total += int(np.add.reduce(bits.view(word), dtype=np.uint64))
    return total & (1 << 64) - 1  # blocks of any size give the same sum


def read_speeds(view: View, *, budget: float, seed: int = 0) -> list[Reading]:
    """Time every operation for its share of the budget, and at least twice.

    Parameters
    ----------
    view
        Of a feature, or of several fused.
    budget
        Seconds by the clock for all of it, except where a single time takes longer.
    seed
        Of the rows that are gathered.
    """
    n, d = view.shape
    row_bytes = d * view.dtype.itemsize
    gathered = np.random.default_rng(seed).permutation(n)[: max(int(n * _GATHERED), 1)]
    operations: dict[str, tuple[Callable[[], Any], int]] = {
        "load": (view.load, n),
        "scan": (lambda: bit_sum(np.asarray(block) for block in view.batches(_BLOCK_ROWS)), n),
        "gather": (lambda: view.take(gathered), len(gathered)),
        "shuffled": (lambda: _drain(view.batches(_BATCH_ROWS, shuffle=seed)), n),
    }
    found = []
    for name, (read, rows) in operations.items():
        times: list[float] = []
        while len(times) < 2 or (
            sum(times) < budget / len(operations) and len(times) <= _MOST_REPEATS
        ):
            start = time.perf_counter()
            # Freed outside the clock.
            kept = read()
            times.append(time.perf_counter() - start)
            del kept
        usual = float(np.median(times[1:]))
        megabytes = rows * row_bytes / 1e6
        found.append(
            Reading(name, megabytes / times[0], megabytes / usual, rows / usual, len(times) - 1)
        )
    return found


def _drain(batches: Iterable[Any]) -> None:
    for _ in batches:
        pass
