"""Disk: what a folder's file system can do, and how fast."""

from __future__ import annotations

import mmap
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from featstore.durable import Aside, lock
from featstore.installation.check import Check

_MEGABYTES = 64
_SECONDS = 2.0
_BLOCK = 4 << 20
#: MB a second below which a store is better kept elsewhere.
_SLOW_WRITES, _SLOW_READS = 20, 100
_SCANT = 2_000_000_000


@dataclass(frozen=True)
class DiskSpeed:
    """How fast one file was written to the medium and read again.

    Attributes
    ----------
    written
        MB a second, the flush to the medium (``fsync``) included.
    read
        MB a second, after the system was asked to forget the file; the medium's own cache, and that
        of a virtual machine's host, may still hold it.
    megabytes
        Size of the file.
    """

    written: float
    read: float
    megabytes: float


def disk_speed(
    folder: Path, *, megabytes: int = _MEGABYTES, seconds: float = _SECONDS
) -> DiskSpeed:
    """Write random bytes to a new file in a folder, read them, remove them.

    Parameters
    ----------
    folder
        Existing, with the right to write.
    megabytes
        Size of the file at most.
    seconds
        When to stop writing, whatever the size by then.

    Raises
    ------
    OSError
        As the disk says; nothing is left behind.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     speed = disk_speed(Path(folder), megabytes=4)
    >>> speed.written > 0, speed.read > 0, speed.megabytes
    (True, True, 4.0)
    """
    block = secrets.token_bytes(min(megabytes << 20, _BLOCK))
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        start, size = time.perf_counter(), 0
        while size < megabytes << 20 and time.perf_counter() - start < seconds:
            size += file.write(block)
        os.fsync(file.fileno())
        written = time.perf_counter() - start
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(0)
        start = time.perf_counter()
        while file.read(_BLOCK):
            pass
        read = time.perf_counter() - start
    return DiskSpeed(size / 1e6 / written, size / 1e6 / read, size / (1 << 20))


def check_disk(folder: Path, *, reading: bool = False) -> Iterator[Check]:
    """Check a folder's space, speed, and what the commit protocol needs of it.

    Parameters
    ----------
    folder
        Where stores are or are to be.
    reading
        Whether a store is there already, so that a folder for reading alone is no problem.
    """
    if not folder.is_dir():
        yield Check(
            "disk", str(folder), "problem", "no such folder", f"mkdir -p {folder}, or name another"
        )
        return
    free = shutil.disk_usage(folder).free
    yield Check(
        "disk",
        "space",
        "note" if free < _SCANT else "ok",
        f"{free / 1e9:.1f} GB free in {folder}",
        "100,000 images × 768 numbers in float16 take 0.15 GB" if free < _SCANT else "",
    )
    try:
        speed = disk_speed(folder)
        lacking = _lacking(folder)
    except OSError as error:
        yield Check(
            "disk",
            "writing",
            "note" if reading else "problem",
            f"{folder}: {error.strerror or error}",
            "the store can be read; probe with --no-save, or copy it to where you may write"
            if reading
            else "name a folder that you may write to with --folder",
        )
        return
    slow = speed.written < _SLOW_WRITES or speed.read < _SLOW_READS
    yield Check(
        "disk",
        "speed",
        "note" if slow else "ok",
        f"{speed.written:.0f} MB/s written and flushed, {speed.read:.0f} MB/s read "
        f"({speed.megabytes:.0f} MiB)",
        "keep stores that are probed often on a local disk" if slow else "",
    )
    yield Check(
        "disk",
        "files",
        "note" if lacking else "ok",
        f"no {', no '.join(lacking)}" if lacking else "locks, links and mapping work",
        "extract with one process at a time, or divide the work with --rank; keep the store on "
        "another file system if it is to be read often"
        if lacking
        else "",
    )


def _lacking(folder: Path) -> list[str]:
    """Name what the file system does not offer, of what a store uses where it is offered."""
    lacking = []
    with tempfile.TemporaryDirectory(prefix=".featstore-doctor-", dir=folder) as inside:
        aside = Aside(str(Path(inside) / "file"), [b"0" * mmap.PAGESIZE])
        path = Path(aside.name)
        try:
            if not _is_locked(path):
                lacking.append("locks")
            try:
                (Path(inside) / "link").hardlink_to(path)
            except OSError:
                lacking.append("hard links")
            try:
                with path.open("rb") as file:
                    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ).close()
            except OSError:
                lacking.append("mapping")
        finally:
            aside.discard()
    return lacking


def _is_locked(path: Path) -> bool:
    """Whether a second descriptor is refused the lock that a writer holds."""
    with path.open("rb") as file:
        return lock(file.fileno()) is False
