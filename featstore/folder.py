"""Folder: a place for small files and shards, on a disk or in a bucket.

Everything that featstore promises about half-written data rests on four operations that both kinds
of place can do: a file appears whole or not at all (`write`), only one of several writers creates a
name (`create`), bytes are put aside under a name nobody else uses (`stage`), and they take their
name later (`move`).  docs/format.md says which guarantee holds where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol


class Staged(Protocol):
    """Bytes put aside; `name` is where, relative to the folder."""

    @property
    def name(self) -> str:
        """Where the bytes are, relative to the folder."""
        ...

    def flush(self) -> None:
        """Make the bytes safe from a power cut."""
        ...

    def close(self) -> None:
        """Give up the claim on the bytes; what is still there may then be swept."""
        ...


class Claim(Protocol):
    """The sole right to do a piece of work."""

    def release(self, *, done: bool) -> None:
        """Give the right back; `done` if there is nothing left to do."""
        ...


class Folder(Protocol):
    """A folder of files, named relative to it with ``/``.

    Names may have several parts (``"c/3/0"``); what lies between is made where that is needed.

    Raises
    ------
    FileNotFoundError
        By everything that reads a file that is not there.
    StorageError
        By everything that writes, where the disk or the service refuses.
    """

    @property
    def name(self) -> str:
        """Last part of the location."""
        ...

    @property
    def local(self) -> Path | None:
        """The folder's path where its files can be mapped; None elsewhere."""
        ...

    def __str__(self) -> str:
        """Path or URL, for messages."""
        ...

    def child(self, name: str) -> Folder:
        """Return a folder below this one, whether it exists or not."""
        ...

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a file's bytes from `start` on; at most `length` of them."""
        ...

    def size(self, name: str) -> int | None:
        """Return a file's size in bytes; None if there is no such file."""
        ...

    def modified(self, name: str) -> float | None:
        """Return when a file was last written, in seconds since 1970; None if there is none."""
        ...

    def files(self) -> dict[str, int]:
        """Return the size in bytes of every file below the folder, by name."""
        ...

    def names(self, below: str) -> list[str]:
        """Return the names in a folder below, sorted; none if it does not exist."""
        ...

    def groups(self) -> list[str]:
        """Return the names of the folders directly below that hold a ``zarr.json``, sorted."""
        ...

    def is_free(self) -> bool:
        """Whether something new can begin here: nothing is, or only what was left half-made."""
        ...

    def check_writable(self) -> None:
        """Raise `StorageError` if it is known, without a try, that nothing can be written here."""
        ...

    def write(self, name: str, buffers: Iterable[Any]) -> None:
        """Write a file, all or nothing; an existing one is replaced."""
        ...

    def create(self, name: str, buffers: Iterable[Any], *, about: Staged | None = None) -> bool:
        """Write a file, all or nothing; False, and nothing written, if there is one already.

        Its name is safe from a power cut only after `flush_names`.

        Parameters
        ----------
        about
            What the file speaks of: flushed before the name is there.
        """
        ...

    def append(self, name: str, line: bytes) -> None:
        """Append to a file that is only for people."""
        ...

    def stage(self, name: str, buffers: Iterable[Any], *, nbytes: int) -> Staged:
        """Put bytes aside under a new name that begins with `name`.

        A buffer may be changed as soon as the next one is asked for.  The bytes are safe, and
        there for others to see, after the staged file's `flush`; its name after `flush_names`.
        They are `nbytes` in all, for which a disk may make room first.
        """
        ...

    def move(self, source: str, target: str) -> None:
        """Give a staged file its name; an existing file of that name is replaced.

        The name is safe from a power cut only after `flush_names`.
        """
        ...

    def flush_names(self, *names: str) -> None:
        """Make sure that names given by `create` and `move` cannot be lost any more."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file; no error if there is none."""
        ...

    def is_abandoned(self, staged: str) -> bool:
        """Whether nobody who is alive has put these bytes aside; False where nobody can know."""
        ...

    def claim(self, name: str) -> Claim | None:
        """Claim a piece of work by a file of this name; None if somebody alive is at it.

        A claim spares work and protects nothing: where nobody can know, everybody gets one.
        """
        ...

    def start(self, files: Mapping[str, bytes]) -> bool:
        """Create this folder with files in it; False, and nothing done, if it exists.

        A folder without a ``zarr.json`` is what a removal left behind: it gives way.
        """
        ...

    def filled(self, *, replace: bool = False) -> AbstractContextManager[Path]:
        """Fill this folder in a scratch folder; it appears, whole, when the block ends well.

        Parameters
        ----------
        replace
            Whether an existing folder gives way; without it, it is an error.
        """
        ...

    def flush(self) -> None:
        """Make sure that no name that was given below this folder can be lost any more."""
        ...

    def remove(self, *, unless: Callable[[], bool] | None = None) -> bool:
        """Remove the folder; for every reader it is gone at once, however long the rest takes.

        Parameters
        ----------
        unless
            Asked when nobody else has the folder pinned, and nobody can pin it: if it is true, the
            folder stays.  Where nobody can know, it is asked at once.

        Returns
        -------
        removed
            False if somebody else has the folder pinned, or `unless` kept it.
        """
        ...

    def pinned(self) -> Folder:
        """Return this very folder: if it is removed, writing fails, also if another takes its name.

        Where the system cannot do that, the folder itself.

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        """
        ...

    def release(self) -> None:
        """Let others remove the pinned folder again as one that nobody uses."""
        ...

    def sweep(self) -> None:
        """Remove the temporary files of writers that are dead."""
        ...

    def zarr(self) -> Any:
        """Return what zarr-python opens as a store."""
        ...
