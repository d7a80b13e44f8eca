"""A worker that does not end when it is told; for processes to import."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Callable
from pathlib import Path


def begin() -> Callable[[Path], None]:
    return hold


def hold(started: Path) -> None:
    """Ignore SIGTERM, and sleep for an hour in C with the interpreter's lock."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    started.touch()
    ctypes.PyDLL(None).sleep(3600)
