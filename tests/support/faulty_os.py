"""A disk that fails at one call: broken, full, writing less than it was told, or outlived."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Literal, TypeVar

from disk_calls import CHANGING, Call, DiskCalls

T = TypeVar("T")

#: ``"short"``: writes take half of the bytes.  ``"full"``: one does, and from then on nothing can
#: grow.  ``"broken"``: from then on everything fails.
Failure = Literal["ENOSPC", "EIO", "short", "full", "broken", "kill"]
GROWING = CHANGING - {"unlink", "rmdir"}


class Killed(BaseException):
    """The process is dead: no `except` or `finally` of it touches the disk any more."""


class FaultyDisk(DiskCalls):
    """Lets the n-th call about files below a folder fail.

    Parameters
    ----------
    root
        The folder.
    at
        Which call fails, from 1; 0 for none, to count them.
    failure
        How.
    kinds
        Kinds of calls that count.
    """

    def __init__(
        self,
        root: Path,
        *,
        at: int = 0,
        failure: Failure = "EIO",
        kinds: Collection[str] = CHANGING,
    ) -> None:
        super().__init__(root)
        self.at = at
        self.failure = failure
        self.kinds = kinds
        self.calls = 0
        self.failed: Call | None = None

    def on_call(self, call: Call, perform: Callable[[], T]) -> T:
        if self.failure == "kill" and self.failed:
            raise Killed
        if call.kind not in self.kinds:
            return perform()
        self.calls += 1
        first = self.calls == self.at
        if first:
            self.failed = call
        if first or (self.failed and self._lasts(call)):
            self._fail(call, first=first)
        if first and self.failure in ("short", "full") and call.kind == "write":
            return os_write(call.descriptor, call.data[: len(call.data) // 2])  # type: ignore[return-value]
        return perform()

    def _lasts(self, call: Call) -> bool:
        return self.failure == "broken" or (self.failure == "full" and call.kind in GROWING)

    def _fail(self, call: Call, *, first: bool) -> None:
        if self.failure == "kill":
            if call.kind == "write":
                os_write(call.descriptor, call.data[: len(call.data) // 2])
            self._drop_descriptors()
            raise Killed
        if self.failure == "short" or (first and self.failure == "full" and call.kind == "write"):
            return
        code = errno.ENOSPC if self.failure in ("ENOSPC", "full") else errno.EIO
        raise OSError(code, os.strerror(code), call.path)

    def _drop_descriptors(self) -> None:
        """Let go of all files, and so of their locks, as the system does for a dead process."""
        open_ones = self.open_descriptors()
        nowhere = os_open(self.root, os.O_RDONLY)
        for descriptor in open_ones:
            # The numbers stay taken: the dead process's objects will still close them.
            os.dup2(nowhere, descriptor, inheritable=False)
        os.close(nowhere)


os_write, os_open = os.write, os.open
