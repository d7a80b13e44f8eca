"""Durable files: a name on disk is either absent or complete, also after a crash."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from featstore.errors import FeatstoreError, StorageError

PARTIAL = ".partial"
_COUNTER = itertools.count()


def write_durably(path: Path, buffers: Iterable[Any]) -> None:
    """Write `buffers` one after the other to `path`, all or nothing.

    The bytes go to a temporary name in the same folder, are flushed to the medium, and only
    then take their name; the folder is flushed too, so that a power cut cannot undo a rename
    that later writes rely on.

    Parameters
    ----------
    path
        Final name; an existing file is replaced.
    buffers
        Objects with the buffer protocol.

    Raises
    ------
    StorageError
        If the disk is full or refuses; nothing is left under `path` that was not there before.
    """
    temporary = path.with_name(f"{path.name}.{_writer_mark()}{PARTIAL}")
    try:
        with temporary.open("wb", buffering=0) as file:
            for buffer in buffers:
                left = memoryview(buffer).cast("B")
                while left:
                    left = left[file.write(left) :]
            os.fsync(file.fileno())
        temporary.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        # On a failing disk even this may fail; the sweep of the next writer takes it then.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise storage_error(error, path) from error


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Fill a folder under a temporary name; it takes its own name when the block ends well.

    Parameters
    ----------
    path
        Final name.
    replace
        Whether a folder of this name gives way; without it, an existing one is an error.

    Yields
    ------
    temporary
        Does not exist yet; the block creates it.

    Raises
    ------
    StorageError
        If the file system refuses; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{_writer_mark()}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        yield temporary
        _flush_tree(temporary)
        if replace and path.exists():
            remove_folder(path)
        temporary.replace(path)
        flush_folder(path.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, FeatstoreError):
            raise storage_error(error, path) from error
        raise


def remove_folder(folder: Path) -> None:
    """Remove a folder; for every reader it is gone at once, however long the rest takes."""
    grave = folder.with_name(f".{folder.name}.{_writer_mark()}{PARTIAL}")
    try:
        folder.replace(grave)
        flush_folder(folder.parent)
        shutil.rmtree(grave)
    except OSError as error:
        raise storage_error(error, folder) from error


def _flush_tree(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_dir():
            flush_folder(file)
        else:
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    flush_folder(folder)


def storage_error(error: OSError, path: Path) -> StorageError:
    """Turn an `OSError` of the file system into one that says what to do."""
    advice = {
        errno.ENOSPC: "the disk is full: free some space",
        errno.EDQUOT: "the disk quota is used up: free some space",
        errno.EACCES: "permission denied: make the folder writable or choose another place",
        errno.EPERM: "permission denied: make the folder writable or choose another place",
        errno.EROFS: "the file system is read-only: choose another place",
    }.get(error.errno or 0, f"{error.strerror or error}: repair that")
    return StorageError(
        f"cannot write {path}: {advice}, then run the same command again (what was committed is "
        "kept)"
    )


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries to the medium, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows flushes entries with the file
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove temporary files and folders below `folder` whose writer on this machine is dead."""
    for leftover in list(folder.rglob(f"*{PARTIAL}")):
        mark = leftover.name.removesuffix(PARTIAL).rpartition(".")[2]
        host, process = mark.rsplit("-", 2)[:2] if mark.count("-") >= 2 else ("", "")
        if host == _host() and process.isdigit() and not _alive(int(process)):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def _host() -> str:
    return socket.gethostname().replace(".", "_")


def _writer_mark() -> str:
    return f"{_host()}-{os.getpid()}-{next(_COUNTER)}"


def _alive(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
