"""The page cache: dropping files from it, bringing them in, and checking which it was."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from pathlib import Path

import numpy as np

#: Some pages, of metadata that the system itself reads, always stay.
_NOTHING = 0.02
_EVERYTHING = 0.999


def resident_share(path: Path) -> float:
    """Share of the pages of a file, or of all files below a folder, that are in memory."""
    present = pages = 0
    for file in _files(path):
        seen = _resident(file)
        present += int(seen.sum())
        pages += len(seen)
    return present / max(pages, 1)


def drop(path: Path) -> str | None:
    """Drop files, which must have been flushed, from the page cache.

    Returns
    -------
    way
        How that was done; None if nothing on this system does it.
    """
    if sys.platform != "linux":
        return None
    for file in _files(path):
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if resident_share(path) <= _NOTHING:
        return "posix_fadvise"
    try:
        Path("/proc/sys/vm/drop_caches").write_text("1")
    except OSError:
        return None
    return "drop_caches" if resident_share(path) <= _NOTHING else None


def is_present(path: Path) -> bool:
    """Whether all pages are in the page cache; where no system tells, they are taken not to be."""
    return sys.platform == "linux" and resident_share(path) >= _EVERYTHING


def bring_in(path: Path) -> None:
    """Read what is not in the page cache."""
    if not is_present(path):
        buffer = memoryview(bytearray(1 << 22))
        for file in _files(path):
            with file.open("rb", buffering=0) as opened:
                while opened.readinto(buffer):
                    pass


def _files(path: Path) -> list[Path]:
    found = path.rglob("*") if path.is_dir() else [path]
    return [file for file in found if file.is_file() and file.stat().st_size]


def _resident(file: Path) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        view = np.frombuffer(mapped, np.uint8)
        pages = np.zeros(-(-len(view) // mmap.PAGESIZE), np.uint8)
        failed = libc.mincore(view.ctypes.data, len(view), pages.ctypes.data)
        del view  # a mapping that is still shown cannot be closed
    if failed:
        raise OSError(ctypes.get_errno(), f"mincore failed on {file}")
    return pages & 1
