"""Claims on a file system: files put aside, and the right to a piece of work.

Both hold a lock for as long as their process lives; see `featstore.durable`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager

from featstore.durable import Aside


class StagedFile:
    """A file put aside, claimed until it is closed.

    Parameters
    ----------
    name
        In its folder.
    aside
        The file.
    storing
        Makes a context that turns what the system answers into an error that says what to do.
    """

    def __init__(
        self, name: str, aside: Aside, *, storing: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.name = name
        self._aside = aside
        self._storing = storing

    def flush(self) -> None:
        """Make the bytes safe from a power cut; they are deleted if that cannot be."""
        with self._storing():
            try:
                self._aside.flush()
            except OSError:
                self._aside.discard()
                raise

    def close(self) -> None:
        """Give up the claim; what is still there may then be swept."""
        self._aside.close()


class ClaimedFile:
    """The right to do a piece of work, for as long as its process lives.

    Parameters
    ----------
    descriptor
        Of the file that stands for it, locked.
    delete
        Deletes the file.
    """

    def __init__(self, descriptor: int, *, delete: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._delete = delete

    def release(self, *, done: bool) -> None:
        """Give the right back; `done` if there is nothing left to do."""
        try:
            # The name stays where work is left: without it, two could hold the same right, one by
            # the old file and one by a new one.
            if done:
                self._delete()
        finally:
            os.close(self._descriptor)
