"""Residency: which pages of a mapped array are in memory, and asking for those that are not."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MADV_WILLNEED, _MADV_POPULATE_READ = 3, 22
_PROCESS_MADVISE = 440
#: Rows looked at to judge a gather; 20 microseconds, a twentieth of a small one.
_SAMPLE = 16
#: The same once so many gathers in succession found all they looked at.
_GLANCE, _TRUSTED = 3, 8
#: Where this share of the rows is wanted, bytes between two of them that are read as well.
_DENSE, _GAP = 0.3, 1 << 20
#: Linux reads no more of a range than its read-ahead or one request of the disk, whichever is more.
_PIECE = 512 << 10
#: The system takes no more ranges at a time.
_MAX_RANGES = 1024


class Residency:
    """Pages of a mapped array.

    Plain page faults wait for the disk one row after the other.  Told all rows at once, the system
    reads them side by side.  Where they are in memory already, asking would cost more than the
    gather itself: hence the look at a few of them first.

    Parameters
    ----------
    array
        Shape (rows, dim), C-contiguous, mapped.
    """

    #: Rows to ask for at a time.
    CHUNK = 1024

    def __init__(self, array: NDArray[Any]) -> None:
        self._address = array.__array_interface__["data"][0]
        self._pitch = array.strides[0]
        self._found = 0  # gathers in succession whose rows were all in memory

    @classmethod
    def of(cls, array: NDArray[Any]) -> Residency | None:
        """Watch an array; None where the system offers no such thing."""
        return cls(array) if sys.platform == "linux" and array.nbytes else None

    def expect(self, index: NDArray[np.intp]) -> bool:
        """Ask for rows, shape (m,), unless they are in memory already; say whether."""
        if not len(index):
            return False
        if not self._is_absent(index, _GLANCE if self._found >= _TRUSTED else _SAMPLE):
            self._found += 1
            return False
        self._found = 0
        _advise(*self._ranges(index), _MADV_WILLNEED)
        return True

    def is_present(self, start: int, stop: int) -> bool:
        """Whether consecutive rows are in memory, by a look at a few of them."""
        return not self._is_absent(np.linspace(start, stop - 1, _SAMPLE).astype(np.intp))

    def populate(self, start: int, stop: int) -> None:
        """Map consecutive rows, and read what is not in memory: no page fault is left to take."""
        begin = (self._address + start * self._pitch) & -mmap.PAGESIZE
        _libc().madvise(begin, self._address + stop * self._pitch - begin, _MADV_POPULATE_READ)

    def _ranges(self, index: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the pages of the rows begin and end, neighbours joined.

        A request costs as much as reading many pages: where rows lie close, what is between them
        is read with them.
        """
        rows = np.unique(index)
        gap = _GAP if len(rows) >= _DENSE * (rows[-1] - rows[0] + 1) else 0
        begins = (self._address + rows * self._pitch) & -mmap.PAGESIZE
        ends = -((-(self._address + (rows + 1) * self._pitch)) & -mmap.PAGESIZE)
        new = np.flatnonzero(begins[1:] - ends[:-1] > gap) + 1
        return begins[np.r_[0, new]], ends[np.r_[new - 1, len(rows) - 1]]

    def _is_absent(self, index: NDArray[np.intp], sample: int = _SAMPLE) -> bool:
        libc, seen = _libc(), (ctypes.c_ubyte * 1)()
        for row in index[:: max(len(index) // sample, 1)].tolist():
            page = (self._address + row * self._pitch) & -mmap.PAGESIZE
            if libc.mincore(page, mmap.PAGESIZE, seen) == 0 and not seen[0] & 1:
                return True
        return False


def _advise(begins: NDArray[np.int64], ends: NDArray[np.int64], advice: int) -> None:
    """Advise the system about many ranges; in a few calls where it can take several at a time."""
    begins, ends = _cut(begins, ends)
    ranges = np.stack([begins, ends - begins], axis=1).astype(np.uintp)  # an array of iovec
    libc, process = _libc(), _this_process(os.getpid())
    for start in range(0, len(ranges), _MAX_RANGES):
        piece = ranges[start : start + _MAX_RANGES]
        if process is not None and libc.syscall(
            _PROCESS_MADVISE, process, piece.ctypes.data, len(piece), advice, 0
        ) == int(piece[:, 1].sum()):
            continue
        for address, length in piece.tolist():
            libc.madvise(address, length, advice)


def _cut(
    begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut ranges into pieces that are read whole."""
    pieces = -((begins - ends) // _PIECE)
    first = np.repeat(np.cumsum(pieces) - pieces, pieces)
    starts = np.repeat(begins, pieces) + (np.arange(len(first)) - first) * _PIECE
    return starts, np.minimum(starts + _PIECE, np.repeat(ends, pieces))


@cache
def _this_process(number: int) -> int | None:
    """Return a descriptor of the process that asks; None where the system has none."""
    with suppress(OSError, AttributeError):
        return os.pidfd_open(number)
    return None


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    libc.syscall.restype = ctypes.c_long
    libc.syscall.argtypes = [
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_uint,
    ]
    return libc
