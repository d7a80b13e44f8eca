"""Interruption: at one call of a process to the disk, another process does something whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from disk_calls import Call, DiskCalls

T = TypeVar("T")


class Interruption(DiskCalls):
    """Lets something happen just before the n-th call about files below a folder.

    Parameters
    ----------
    root
        The folder.
    happens
        What happens; its own calls do not count.
    at
        Before which call, from 1; 0 for never, to count them.
    """

    def __init__(self, root: Path, happens: Callable[[], object], *, at: int = 0) -> None:
        super().__init__(root)
        self.happens = happens
        self.at = at
        self.calls = 0
        self.interrupted: Call | None = None
        self._is_happening = False
        # What happens may use threads of its own, which must not wait for the interrupted one.
        self.lock: Any = nullcontext()

    def on_call(self, call: Call, perform: Callable[[], T]) -> T:
        # What happens may need zarr-python, whose only thread for such work must not wait for it.
        if not self._is_happening and threading.current_thread().name != "zarr_io":
            self.calls += 1
            if self.calls == self.at:
                self.interrupted = call
                self._is_happening = True
                try:
                    self.happens()
                finally:
                    self._is_happening = False
        return perform()
