"""ScratchFolder: a folder filled beside its place, whose name it gets in one step."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from featstore.durable import HAS_FOLDER_DESCRIPTORS, PARTIAL, flush_folder, lock, make_folder
from featstore.leftovers import sweep_beside
from featstore.renaming import rename


class ScratchFolder:
    """A folder under a temporary name.

    Parameters
    ----------
    path
        Where it is.
    place
        Whose name it is to get.
    """

    def __init__(self, path: Path, place: Path) -> None:
        self.path = path
        self.place = place

    def appear(self) -> bool:
        """Take the place's name; False if something has it."""
        try:
            os.rename(self.path, self.place)  # noqa: PTH104 - in step with the others
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
        flush_folder(self.place.parent)
        return True

    def change_places(self) -> bool:
        """Take the place's name and give it ours; False where the system cannot."""
        try:
            done = rename(self.path, self.place, how="exchange")
        except FileNotFoundError:
            return False  # removed by another process
        # Before the old one is taken apart: until then its name may come back with it.
        flush_folder(self.place.parent)
        return done


def scratch_path(place: Path) -> Path:
    """Return a new temporary name beside a folder, such as a sweep takes away.

    Examples
    --------
    >>> path = scratch_path(Path("birds.zarr"))
    >>> path.name.startswith(".birds.zarr."), path.suffix
    (True, '.partial')
    """
    return place.with_name(f".{place.name}.{secrets.token_hex(6)}{PARTIAL}")


@contextmanager
def scratch_folder(place: Path) -> Iterator[ScratchFolder]:
    """Make a folder beside another; it is removed if it is still there in the end.

    Parameters
    ----------
    place
        The other one, whether it exists or not.
    """
    make_folder(place.parent)
    with suppress(OSError):
        sweep_beside(place)
    path, descriptor = _new_folder(place)
    try:
        yield ScratchFolder(path, place)
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if descriptor >= 0:
            os.close(descriptor)


def _new_folder(place: Path) -> tuple[Path, int]:
    """Make a folder and lock it; return its descriptor, too, -1 where there is none."""
    while True:
        path = scratch_path(place)
        os.mkdir(path)  # noqa: PTH102
        if not HAS_FOLDER_DESCRIPTORS:
            return path, -1
        # Somebody may take it for a dead writer's before it is locked, and remove it by its
        # name, which therefore is not used again.
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY)
            is_ours = False
            try:
                # Shared, as writers do it: it may be in use while this lock still holds.
                is_ours = lock(descriptor, shared=True) is not False and path.exists()
            finally:
                if not is_ours:
                    os.close(descriptor)
            if is_ours:
                return path, descriptor
