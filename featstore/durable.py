"""Durable files: bytes put aside under a temporary name, and the errors of disks.

A temporary file is locked for as long as its writer lives.  The system drops the lock with the
process, on whatever machine or in whatever container that was, so a file that can be locked has
lost its writer and may be swept.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from featstore.errors import StorageError
from featstore.preallocation import preallocate
from featstore.write_back import begin_write_back

PARTIAL = ".partial"
STAGED = ".staged"
#: The system may write less than it was asked to; it never takes more than 2 GiB at a time.
_PIECE = 1 << 30
#: Whether files can be addressed relative to an open folder, as POSIX has it.
HAS_FOLDER_DESCRIPTORS = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")


class Aside:
    """A new file under a temporary name; safely on the medium after `flush`.

    Parameters
    ----------
    name
        The temporary name begins with it.
    buffers
        Objects with the buffer protocol, written one after the other.
    suffix
        `PARTIAL`, or `STAGED` for a file that a marker may name.
    dir_fd
        Descriptor of the folder that `name` is relative to.
    nbytes
        How much is going to be written, where that is known and much.

    Raises
    ------
    OSError
        If the disk refuses; nothing is left behind.
    """

    def __init__(
        self,
        name: str,
        buffers: Iterable[Any],
        *,
        suffix: str = PARTIAL,
        dir_fd: int | None = None,
        nbytes: int = 0,
    ) -> None:
        self._dir_fd = dir_fd
        self.name, self._descriptor = self._create(name, suffix)
        try:
            preallocate(self._descriptor, nbytes)
            for buffer in buffers:
                left = memoryview(buffer).cast("B")
                while left:
                    taken = os.write(self._descriptor, left[:_PIECE])
                    if taken == 0:
                        raise OSError(errno.EIO, os.strerror(errno.EIO))
                    left = left[taken:]
                if nbytes:
                    begin_write_back(self._descriptor)
        except BaseException:
            self.discard()
            raise

    def begin_write_back(self) -> None:
        """Have the system begin what `flush` waits for."""
        begin_write_back(self._descriptor)

    def flush(self) -> None:
        """Wait until the bytes are on the medium."""
        os.fsync(self._descriptor)

    def _create(self, beginning: str, suffix: str) -> tuple[str, int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        while True:
            name = f"{beginning}.{secrets.token_hex(6)}{suffix}"
            descriptor = os.open(name, flags, 0o666, dir_fd=self._dir_fd)
            # Somebody may take it for a dead writer's before it is locked, and delete it by its
            # name, which therefore is not used again.
            if lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
                return name, descriptor
            os.close(descriptor)

    def discard(self) -> None:
        """Delete the file, if it still has its temporary name."""
        # On a failing disk even this may fail; a later sweep takes it then.
        with suppress(OSError):
            os.unlink(self.name, dir_fd=self._dir_fd)
        self.close()

    def close(self) -> None:
        """Release the lock."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def lock(descriptor: int, *, shared: bool = False) -> bool | None:
    """Try to lock an open file, alone or together; None where the file system knows no locks."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def unlock(descriptor: int) -> None:
    """Give up the lock on an open file, also for processes that have inherited it."""
    if sys.platform == "win32":
        return
    import fcntl

    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield folders with what is in them, top down, as `os.walk` does; what vanishes is no error.

    Raises
    ------
    OSError
        If a folder cannot be listed.
    """

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    for parent, folders, files in os.walk(folder, onerror=failed):
        yield Path(parent), folders, files


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, such that their names last; no error if it exists."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        os.mkdir(folder)  # noqa: PTH102
    flush_folder(folder.parent)


def flush_folder(folder: str | Path, *, dir_fd: int | None = None) -> None:
    """Flush a folder's entries to the medium, where the system can."""
    if not HAS_FOLDER_DESCRIPTORS:  # Windows flushes entries with the file
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY, dir_fd=dir_fd)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree(folder: Path, *, files: bool = True) -> None:
    """Flush all folders below and including `folder`, and their files.

    Others may be at work in it: what they remove meanwhile is no error.
    """
    for parent, _, names in walk(folder):
        for name in names if files else ():
            with suppress(FileNotFoundError):
                descriptor = os.open(parent / name, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        if parent != folder:
            with suppress(FileNotFoundError):
                flush_folder(parent)
    flush_folder(folder)


def storage_error(error: OSError, place: object, *, verb: str = "write") -> StorageError:
    """Turn an `OSError` of the file system into one that says what to do."""
    permit = "make the folder writable or choose another place" if verb == "write" else "allow that"
    advice = {
        errno.ENOSPC: "the disk is full: free some space",
        errno.EDQUOT: "the disk quota is used up: free some space",
        errno.EACCES: f"permission denied: {permit}",
        errno.EPERM: f"permission denied: {permit}",
        errno.EROFS: "the file system is read-only: choose another place",
    }.get(error.errno or 0, f"{error.strerror or error}: repair that")
    return StorageError(
        f"cannot {verb} {place}: {advice}, then run the same command again (what was committed is "
        "kept)"
    )
