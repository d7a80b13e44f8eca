"""Deviation: how far the values of two features lie apart, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.commits import Commit
from featstore.shards import ShardLayout
from featstore.view import View

_EXAMPLES = 10
#: Of one feature, compared at a time.
_BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class RowDeviation:
    """A row whose values differ.

    Attributes
    ----------
    id
        Of the sample.
    row_a, row_b
        Its row in either store.
    absolute, relative
        Largest difference of two values, and that divided by the row's largest magnitude.
    """

    id: str
    row_a: int
    row_b: int
    absolute: float
    relative: float


@dataclass(frozen=True)
class Deviation:
    """How far two features lie apart.

    Attributes
    ----------
    rows
        Rows that were compared.
    differing
        Rows that differ by more than the tolerance.
    absolute, relative
        Largest difference of two values, and largest ratio of a row's largest difference to its
        largest magnitude; over all rows.
    first
        The first rows that differ by more than the tolerance.
    """

    rows: int
    differing: int
    absolute: float
    relative: float
    first: tuple[RowDeviation, ...]


def deviation(
    a: View,
    b: View,
    *,
    rows: int | None = None,
    tolerance: float = 0.0,
    advance: Callable[[int], None] = lambda step: None,
) -> Deviation:
    """Compare two views row by row; only a few MiB of either are in memory at a time.

    Parameters
    ----------
    a, b
        Of equal shape.  Which ids they show is not looked at.
    rows
        How many rows the views stand for; by default their own number.
    tolerance
        Relative difference up to which a row counts as equal.
    advance
        Told about every batch of rows.
    """
    size = max(_BATCH_BYTES // max(a.shape[1] * 4, 1), 1)
    differing, worst_absolute, worst_relative = 0, 0.0, 0.0
    first: list[RowDeviation] = []
    start = 0
    for x, y in zip(a.batches(size), b.batches(size), strict=True):
        # Equal bits are by far the most frequent case, and quickly seen.
        unequal = np.flatnonzero((x != y).any(axis=1))
        absolute, relative = differences(x[unequal], y[unequal])
        over = np.flatnonzero((absolute > 0) & (relative > tolerance))
        differing += len(over)
        worst_absolute = max(worst_absolute, absolute.max(initial=0.0))
        worst_relative = max(worst_relative, relative.max(initial=0.0))
        for i in over[: _EXAMPLES - len(first)].tolist():
            at = start + int(unequal[i])
            first.append(
                RowDeviation(
                    id=str(a.ids[at]),
                    row_a=int(a.rows[at]),
                    row_b=int(b.rows[at]),
                    absolute=float(absolute[i]),
                    relative=float(relative[i]),
                )
            )
        start += len(x)
        advance(len(x))
    return Deviation(
        rows=len(a) if rows is None else rows,
        differing=differing,
        absolute=float(worst_absolute),
        relative=float(worst_relative),
        first=tuple(first),
    )


def differences(
    X: NDArray[Any], Y: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the largest absolute and the relative difference of each row, shape (n,).

    NaN against a number, and Inf against anything else, is infinitely far apart.  The relative
    difference refers to the largest finite magnitude of the row, not to the value that differs.

    Examples
    --------
    >>> differences(np.array([[1.0, 100.0]]), np.array([[2.0, 100.0]]))
    (array([1.]), array([0.01]))
    """
    x, y = X.astype(np.float64), Y.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(x - y)
    apart[(x == y) | (np.isnan(x) & np.isnan(y))] = 0
    apart[np.isnan(apart)] = np.inf
    absolute = apart.max(axis=1, initial=0)
    magnitude = np.fmax(np.abs(x), np.abs(y))
    scale = magnitude.max(axis=1, initial=0, where=np.isfinite(magnitude))
    relative = np.zeros(len(absolute))
    finite = np.isfinite(absolute)
    np.divide(absolute, scale, out=relative, where=finite & (absolute > 0))
    relative[~finite] = np.inf
    return absolute, relative


def suspects(a: Sequence[Commit], b: Sequence[Commit], layout: ShardLayout) -> NDArray[np.intp]:
    """Return the rows of chunks that do not have equal checksums, ascending, shape (n,).

    Parameters
    ----------
    a, b
        What was committed of two features, shard by shard.
    layout
        Of both.
    """
    rows = [np.empty(0, np.intp)]
    for one, other in zip(a, b, strict=True):
        for i, (mine, theirs) in enumerate(zip(one.crc32c, other.crc32c, strict=True)):
            if mine != theirs:
                start = one.start + i * layout.chunk_rows
                stop = min(start + layout.chunk_rows, one.start + one.rows)
                rows.append(np.arange(start, stop))
    return np.concatenate(rows)
