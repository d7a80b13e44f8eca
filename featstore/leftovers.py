"""Leftovers: what writers leave behind when they are killed, and how it is removed."""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from featstore.durable import PARTIAL, lock, walk

#: Our temporary names, and nobody else's: other tools end theirs in ``.partial`` as well.
_TEMPORARY = re.compile(rf"\.[0-9a-f]{{12}}{re.escape(PARTIAL)}$")


def sweep(folder: Path) -> None:
    """Remove temporary files and folders below `folder` whose writer is dead."""
    for leftover in below(folder):
        remove_dead(leftover)


def sweep_beside(folder: Path) -> None:
    """Remove temporary folders of dead writers that stand beside `folder`, see `beside`."""
    for leftover in beside(folder):
        remove_dead(leftover)


def below(folder: Path) -> Iterator[Path]:
    """Yield the temporary files and folders below `folder`."""
    for parent, folders, files in walk(folder):
        for name in filter(_TEMPORARY.search, files):
            yield parent / name
        for name in filter(_TEMPORARY.search, list(folders)):
            # What is in it belongs to the same writer, whether or not it is locked.
            folders.remove(name)
            yield parent / name


def beside(folder: Path) -> Iterator[Path]:
    """Yield the temporary folders that stand beside `folder`.

    In a Zarr group, those of all its members; elsewhere only those that bear the folder's name.
    """
    name = "*" if (folder.parent / "zarr.json").exists() else glob.escape(folder.name)
    for leftover in folder.parent.glob(f".{name}.*{PARTIAL}"):
        if _TEMPORARY.search(leftover.name):
            yield leftover


def remove_dead(leftover: Path, *, dry_run: bool = False) -> bool:
    """Remove a temporary file or folder, unless its writer is alive.

    Parameters
    ----------
    leftover
        One of `below` or `beside`.
    dry_run
        Only say whether it would be removed.

    Returns
    -------
    dead
        False if the writer is alive, and where the file system cannot tell.
    """
    with suppress(OSError):
        # For writing where that can be: file systems on a network lock nothing else.
        is_folder = leftover.is_dir()
        descriptor = os.open(leftover, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            if not lock(descriptor):
                return False
            if dry_run:
                return True
            if is_folder:
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink()
            return True
        finally:
            os.close(descriptor)
    return False


def remove_tree(folder: Path) -> None:
    """Remove a folder, also while somebody writes into it or removes it as well."""
    while True:
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            if not folder.exists():
                return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
