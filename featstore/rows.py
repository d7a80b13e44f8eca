"""Rows: how the values of a sealed feature are reached, wherever they lie."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.cores import available_cores
from featstore.look_ahead import ahead
from featstore.residency import Residency

#: Below this, a second thread may cost more than it saves: on busy cores it comes late.
_PARALLEL_BYTES = 16 << 20
#: Mapped and copied at a time.
_WINDOW_BYTES = 16 << 20
#: Of a scan whose rows are not in memory; measured on one disk, 1.5 times a plain mapping.
_READERS, _READ_AHEAD = 2, 5
#: Gathered at a time where the result has gaps.
_PIECE_BYTES = 1 << 18


class Rows(Protocol):
    """All rows of a feature, shape (rows of the store, dim)."""

    def take(self, index: NDArray[np.intp], out: NDArray[Any]) -> None:
        """Gather rows, shape (m,), into `out`, shape (m, dim), which may have gaps."""
        ...

    def prefetch(self, index: NDArray[np.intp]) -> bool:
        """Have rows, shape (m,), read that will soon be taken, without waiting; say if any were."""
        ...

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Copy consecutive rows from `start` on into `out`, shape (m, dim)."""
        ...

    def window(self, start: int, stop: int) -> NDArray[Any] | None:
        """Return consecutive rows without a copy, read-only; None where that cannot be."""
        ...

    def scan(self, start: int, stop: int, size: int) -> Iterator[NDArray[Any]] | None:
        """Yield the windows of `size` rows that cover [start, stop), each ready when it comes."""
        ...


class ArrayRows:
    """Rows of an array, as a rule a mapped one.

    Parameters
    ----------
    array
        Shape (rows, dim), C-contiguous.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self._residency = Residency.of(array)

    def take(self, index: NDArray[np.intp], out: NDArray[Any]) -> None:
        """Gather rows into `out`."""
        direct = out.flags.c_contiguous and out.dtype == self._array.dtype
        step = max(_PIECE_BYTES // self._array.strides[0], 1)

        def gather(start: int, stop: int) -> None:
            # The rows are the store's own, so clipping never happens; it spares take a buffer.
            if direct:
                for chunk in self._prefetched(index, start, stop, Residency.CHUNK):
                    np.take(self._array, index[chunk], axis=0, out=out[chunk], mode="clip")
                return
            # NumPy would gather into a copy of all of `out`; pieces stay in the cache.
            piece = np.empty((min(step, stop - start), self._array.shape[1]), self._array.dtype)
            for chunk in self._prefetched(index, start, stop, step):
                rows = piece[: chunk.stop - chunk.start]
                np.take(self._array, index[chunk], axis=0, out=rows, mode="clip")
                out[chunk] = rows

        in_threads(gather, len(index), out.nbytes)

    def prefetch(self, index: NDArray[np.intp]) -> bool:
        """Have rows read that will soon be taken, unless they are in memory."""
        return self._residency is not None and self._residency.expect(index)

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Copy consecutive rows into `out`."""
        step = max(_WINDOW_BYTES // self._array.strides[0], 1)

        def copy(first: int, last: int) -> None:
            for begin in range(first, last, step):
                end = min(begin + step, last)
                np.copyto(out[begin:end], self._mapped((start + begin, start + end)))

        in_threads(copy, len(out), out.nbytes)

    def window(self, start: int, stop: int) -> NDArray[Any]:
        """Return consecutive rows without a copy, read-only."""
        return self._array[start:stop]

    def scan(self, start: int, stop: int, size: int) -> Iterator[NDArray[Any]]:
        """Yield consecutive windows, each mapped; threads read ahead what is not in memory."""
        edges = ((first, min(first + size, stop)) for first in range(start, stop, size))
        if self._residency is None or self._residency.is_present(start, stop):
            # Handing over to a thread would take longer than mapping does.
            return map(self._mapped, edges)
        return ahead(self._mapped, edges, threads=_READERS, depth=_READ_AHEAD)

    def _mapped(self, edges: tuple[int, int]) -> NDArray[Any]:
        """Return a window all of whose pages are mapped: one by one, that costs more than they."""
        if self._residency is not None:
            self._residency.populate(*edges)
        return self._array[slice(*edges)]

    def _prefetched(
        self, index: NDArray[np.intp], start: int, stop: int, size: int
    ) -> Iterator[slice]:
        """Cut [start, stop) into chunks; the medium is at the next while one is copied."""
        self.prefetch(index[start : min(start + size, stop)])
        for first in range(start, stop, size):
            last = min(first + size, stop)
            self.prefetch(index[last : min(last + size, stop)])
            yield slice(first, last)


def in_threads(work: Callable[[int, int], None], n: int, nbytes: int) -> None:
    """Do work(start, stop) on a few ranges that together cover [0, n); large ones side by side."""
    threads = available_cores() if nbytes >= _PARALLEL_BYTES else 1
    if threads == 1:
        work(0, n)
        return
    edges = [n * i // threads for i in range(threads + 1)]
    # Each range frees the interpreter's lock while it copies.
    futures = [_threads(os.getpid()).submit(work, *edge) for edge in itertools.pairwise(edges[:-1])]
    work(edges[-2], n)
    for future in futures:
        future.result()


@cache
def _threads(process: int) -> ThreadPoolExecutor:
    """Return this process's threads; those of the parent do not outlive a fork."""
    return ThreadPoolExecutor(max(available_cores() - 1, 1), thread_name_prefix="featstore-read")
