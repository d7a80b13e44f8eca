"""Batches: a view's rows piece by piece, in order or shuffled, the next piece under way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.ceiling import check_ceiling
from featstore.errors import InvalidInputError
from featstore.look_ahead import DEPTH, ahead

#: Size of a batch where nobody asks for another one.
BATCH_BYTES = 16 << 20


class Batchable(Protocol):
    """What is cut into batches: a view, fused or not."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def max_memory(self) -> int | None: ...

    def take(self, index: NDArray[Any], *, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

    def prefetch(self, index: NDArray[Any]) -> None: ...


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
) -> Iterator[NDArray[np.intp]]:
    """Yield the positions of each batch, shape (size,); the last one may be shorter.

    The order depends on `n` and the seed alone, never on the size of the batches or on where the
    values lie.
    """
    order = np.arange(n) if shuffle is None else np.random.default_rng(shuffle).permutation(n)
    stop = n - n % size if drop_last else n
    for start in range(0, stop, size):
        yield order[start : start + size]


def iterate(
    view: Batchable, positions: Iterator[NDArray[np.intp]], out: NDArray[Any] | None
) -> Iterator[NDArray[Any]]:
    """Yield the rows of each batch; with `out`, in that one buffer, otherwise one ahead."""
    if out is None:
        yield from ahead(view.take, _prefetched(view, positions))
        return
    if out.ndim != 2 or out.shape[1] != view.shape[1] or out.dtype != view.dtype:
        raise InvalidInputError(
            f"out must be (rows of a batch, {view.shape[1]}) of {view.dtype}, got "
            f"{out.shape} of {out.dtype}"
        )
    for index in _prefetched(view, positions):
        yield view.take(index, out=out[: len(index)])


def _prefetched(
    view: Batchable, positions: Iterator[NDArray[np.intp]]
) -> Iterator[NDArray[np.intp]]:
    """Yield positions, the medium being at those that come next."""
    current = next(positions, None)
    while current is not None:
        following = next(positions, None)
        if following is not None:
            view.prefetch(following)
        yield current
        current = following
