"""Mapped shards: all files of a feature as one read-only array, without a copy."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.shards import ShardLayout, shard_name

_MAP_FIXED = 0x10
_MAP_NORESERVE = {"linux": 0x4000, "darwin": 0x40}.get(sys.platform, 0)
_PROT_NONE = 0
_HUGE_PAGE = 2 << 20


def can_map(layout: ShardLayout) -> bool:
    """Whether this machine can map the layout's shards side by side."""
    aligned = layout.shard_rows * layout.row_bytes % mmap.PAGESIZE == 0
    return sys.platform in ("linux", "darwin") and sys.byteorder == "little" and aligned


def map_shards(folder: Path, layout: ShardLayout) -> NDArray[Any]:
    """Map a sealed feature.

    The sizes of the shards must have been checked (`check_shards`): bytes that a truncated file no
    longer has would end the process with SIGBUS.

    Parameters
    ----------
    folder
        The array's folder, with shard files ``c/<i>/0``.
    layout
        Its layout; `can_map` must hold.

    Returns
    -------
    array
        Shape (rows, dim), read-only; the mapping lives as long as the array or a view of it.
    """
    pitch = layout.shard_rows * layout.row_bytes
    region = _Region(pitch * (layout.n_shards - 1) + layout.data_bytes(layout.n_shards - 1))
    for shard in range(layout.n_shards):
        region.place(shard * pitch, folder / shard_name(shard), layout.data_bytes(shard))
    region.ask_for_huge_pages()
    holder = _Holder(region, layout)
    return np.asarray(holder)


class _Region:
    """An address range reserved once, into which files are mapped piece by piece."""

    def __init__(self, size: int) -> None:
        self._libc = _libc()
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        reserved = size + _HUGE_PAGE
        self._size = size
        begin = self._map(None, reserved, _PROT_NONE, flags, -1)
        # Where a huge page of the file begins, one of the memory must, or it is mapped in pieces.
        self.address = -(-begin // _HUGE_PAGE) * _HUGE_PAGE
        weakref.finalize(self, self._libc.munmap, begin, reserved).atexit = False

    def place(self, offset: int, path: Path, size: int) -> None:
        with path.open("rb") as file:
            self._map(
                self.address + offset,
                size,
                mmap.PROT_READ,
                mmap.MAP_SHARED | _MAP_FIXED,
                file.fileno(),
            )

    def ask_for_huge_pages(self) -> None:
        """Have what is read from the medium arrive in huge pages, which are mapped at once.

        A system that has none says no, and nothing is lost.
        """
        if hasattr(mmap, "MADV_HUGEPAGE"):
            self._libc.madvise(self.address, self._size, mmap.MADV_HUGEPAGE)

    def _map(self, address: int | None, size: int, prot: int, flags: int, file: int) -> int:
        result = self._libc.mmap(address, size, prot, flags, file, 0)
        if result is None or result == ctypes.c_void_p(-1).value:
            code = ctypes.get_errno()
            raise OSError(code, f"cannot map {size} bytes: {os.strerror(code)}")
        return int(result)


class _Holder:
    """Lends the region to NumPy; the array keeps it as its base."""

    def __init__(self, region: _Region, layout: ShardLayout) -> None:
        self._region = region
        self.__array_interface__ = {
            "version": 3,
            "data": (region.address, True),
            "shape": (layout.rows, layout.dim),
            "typestr": np.dtype(layout.dtype).newbyteorder("<").str,
        }


def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc
