"""Residency: which pages of a mapped array are in memory, and asking for those that are not."""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MADV_RANDOM, _MADV_WILLNEED = 1, 3
#: Pages looked at to judge a whole gather; the look costs about 0.1 ms.
_SAMPLE = 64
#: Share of absent pages above which asking ahead pays.  Asking for pages that are there costs up
#: to three times the gather itself.
_COLD = 0.05


class Residency:
    """Pages of a mapped array.

    Plain page faults wait for the disk one row after the other.  Told all rows at once, the system
    reads them together.

    Parameters
    ----------
    array
        Shape (rows, dim), C-contiguous, mapped.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self._address = array.__array_interface__["data"][0]
        self._pitch = array.strides[0]
        self._rows = len(array)
        self._advised_random = False

    @classmethod
    def of(cls, array: NDArray[Any]) -> Residency | None:
        """Watch an array; None where the system offers no such thing."""
        return cls(array) if sys.platform == "linux" and array.nbytes else None

    def expect(self, index: NDArray[np.intp]) -> None:
        """Ask for rows, shape (m,), unless they are in memory already."""
        if not len(index) or self._absent_share(index) <= _COLD:
            return
        libc = _libc()
        if not self._advised_random:
            # Reading ahead of scattered rows brings pages that nobody asked for.
            start = self._address & -mmap.PAGESIZE
            libc.madvise(start, self._address + self._rows * self._pitch - start, _MADV_RANDOM)
            self._advised_random = True
        for first, last in zip(*self._runs(index), strict=True):
            libc.madvise(first, last - first, _MADV_WILLNEED)

    def _runs(self, index: NDArray[np.intp]) -> tuple[list[int], list[int]]:
        """Return the page ranges of sorted rows, neighbours joined: where they begin and end."""
        rows = np.unique(index)
        begins = (self._address + rows * self._pitch) & -mmap.PAGESIZE
        ends = -((-(self._address + (rows + 1) * self._pitch)) & -mmap.PAGESIZE)
        new = np.flatnonzero(begins[1:] > ends[:-1]) + 1
        return begins[np.r_[0, new]].tolist(), ends[np.r_[new - 1, len(rows) - 1]].tolist()

    def _absent_share(self, index: NDArray[np.intp]) -> float:
        sample = index[:: max(len(index) // _SAMPLE, 1)]
        libc, seen, absent = _libc(), (ctypes.c_ubyte * 1)(), 0
        for row in sample.tolist():
            page = (self._address + row * self._pitch) & -mmap.PAGESIZE
            if libc.mincore(page, mmap.PAGESIZE, seen) == 0:
                absent += not seen[0] & 1
        return absent / len(sample)


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    return libc
