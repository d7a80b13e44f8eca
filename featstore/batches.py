"""Batches: a view's rows piece by piece, in order or shuffled, the next piece under way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from threading import Event
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.ceiling import check_ceiling
from featstore.errors import InvalidInputError
from featstore.free_memory import free_memory
from featstore.look_ahead import DEPTH, ahead

#: Size of a batch where nobody asks for another one.
BATCH_BYTES = 16 << 20
#: From this share of a shuffled pass on, the rest is read in the order of the files: scattered
#: rows cost a disk several times as much (`benchmarks/README.md`), and few passes are broken off.
_SCATTERED_SHARE = 1 / 50
#: Rows asked for before a look whether anybody still wants them, in bytes.
_ASKED_BYTES = 8 << 20
#: Rows whose presence is looked at before many are asked for.
_SAMPLE = 16


class Batchable(Protocol):
    """What is cut into batches: a view, fused or not."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def max_memory(self) -> int | None: ...

    def take(self, index: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

    def prefetch(self, index: NDArray[Any]) -> bool: ...


def batch_rows(view: Batchable, size: int | None, *, buffers: int = DEPTH) -> int:
    """Return the rows of a batch: `size`, or what suits the view and its memory ceiling.

    Raises
    ------
    InvalidInputError
        If `size` is below 1.
    MemoryCeilingError
        If batches of this size need more than the view's `max_memory`, or if a single row does.
    """
    row_bytes = view.shape[1] * view.dtype.itemsize
    if size is None:
        room = BATCH_BYTES
        if view.max_memory is not None:
            room = min(room, view.max_memory // max(buffers, 1))
        size = max(room // row_bytes, 1)
    if size < 1:
        raise InvalidInputError(f"a batch needs at least 1 row, got size={size}")
    check_ceiling(
        buffers * min(size, view.shape[0]) * row_bytes,
        view.max_memory,
        f"{buffers} batches of {size} rows",
    )
    return size


def batch_positions(
    n: int, size: int, *, shuffle: int | None, drop_last: bool
) -> list[NDArray[np.intp]]:
    """Return the positions of each batch, shape (size,); the last one may be shorter.

    The order depends on `n` and the seed alone, never on the size of the batches or on where the
    values lie.
    """
    order = np.arange(n) if shuffle is None else np.random.default_rng(shuffle).permutation(n)
    stop = n - n % size if drop_last else n
    return [order[start : min(start + size, n)] for start in range(0, stop, size)]


def iterate(
    view: Batchable,
    positions: Sequence[NDArray[np.intp]],
    out: NDArray[Any] | None,
    *,
    scattered: bool,
) -> Iterator[NDArray[Any]]:
    """Yield the rows of each batch; with `out`, in that one buffer, otherwise one ahead.

    Parameters
    ----------
    view
        Whose rows.
    positions
        Of each batch, shape (size,).
    out
        Shape (size, dim), or None.
    scattered
        Whether the rows of a batch lie far apart, as after a shuffle.

    Raises
    ------
    InvalidInputError
        If `out` has another shape or dtype.
    """
    if out is not None and (
        out.ndim != 2 or out.shape[1] != view.shape[1] or out.dtype != view.dtype
    ):
        raise InvalidInputError(
            f"out must be (rows of a batch, {view.shape[1]}) of {view.dtype}, got "
            f"{out.shape} of {out.dtype}"
        )
    asked = prefetched(view, positions, scattered=scattered)
    if out is None:
        yield from ahead(view.take, asked)
        return
    for index in asked:
        yield view.take(index, out=out[: len(index)])


def prefetched(
    view: Batchable, positions: Sequence[NDArray[np.intp]], *, scattered: bool
) -> Iterator[NDArray[np.intp]]:
    """Yield the positions of each batch, the medium being at those that come next."""
    if scattered:
        yield from _asked_for(view, _windows(view, positions))
        return
    for index, following in zip_longest(positions, positions[1:]):
        if following is not None:
            view.prefetch(following)
        yield index


def _windows(
    view: Batchable, positions: Sequence[NDArray[np.intp]]
) -> Iterator[Sequence[NDArray[np.intp]]]:
    """Cut batches into windows that are asked for at a time: 1, 2, 4, ..., and then the rest.

    The more rows are asked for together, the closer they lie on the disk, until reading everything
    is quicker than reading rows.  The first batches do not wait for that.
    """
    start, size = 0, 1
    while start < len(positions):
        if start >= _SCATTERED_SHARE * len(positions):
            size = len(positions)
        batch_bytes = len(positions[start]) * view.shape[1] * view.dtype.itemsize
        # Two windows are in memory at a time, beside what the rest of the process will fill.
        size = min(size, max(free_memory() // 4 // batch_bytes, 1))
        yield positions[start : start + size]
        start, size = start + size, 2 * size


def _asked_for(
    view: Batchable, windows: Iterator[Sequence[NDArray[np.intp]]]
) -> Iterator[NDArray[np.intp]]:
    """Yield the positions of each batch, window by window; a thread asks for the next one."""
    left = Event()

    def ask(window: Sequence[NDArray[np.intp]]) -> Sequence[NDArray[np.intp]]:
        index = np.concatenate(window)
        if view.prefetch(index[:: max(len(index) // _SAMPLE, 1)]):
            index.sort()
            step = max(_ASKED_BYTES // (view.shape[1] * view.dtype.itemsize), 1)
            for start in range(0, len(index), step):
                if left.is_set():
                    break
                view.prefetch(index[start : start + step])
        return window

    ready = ahead(ask, windows)  # with a name: it must outlive the block, and wait after it
    try:
        for window in ready:
            yield from window
    finally:
        left.set()
