"""GroupedFlush: names given by several threads are flushed together."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


class GroupedFlush:
    """Flushes names; those that are given while a flush runs share the next one.

    A flush writes a journal, with all that is in it: six shards that are committed at the same time
    need it once, not six times.

    Parameters
    ----------
    flush
        Takes names, and returns when they cannot be lost any more.
    """

    def __init__(self, flush: Callable[..., None]) -> None:
        self._flush = flush
        self._reset()

    def _reset(self) -> None:
        self._waiting: list[_Request] = []
        self._queue = threading.Lock()
        self._turn = threading.Lock()
        self._process = os.getpid()

    def __call__(self, *names: str) -> None:
        """Return when these names cannot be lost any more.

        Raises
        ------
        OSError
            What `flush` raised, for everybody whose names it was about.
        """
        if self._process != os.getpid():  # a forked child has none of its parent's threads
            self._reset()
        request = _Request(names)
        with self._queue:
            self._waiting.append(request)
        with self._turn:
            if not request.done:
                self._flush_waiting(request)
        if request.error is not None:
            raise request.error

    def _flush_waiting(self, own: _Request) -> None:
        with self._queue:
            requests, self._waiting = self._waiting, []
        error: Exception | None = None
        try:
            self._flush(*(name for request in requests for name in request.names))
        except Exception as raised:  # noqa: BLE001 - everybody who waits is to be told
            error = raised
        except BaseException:  # an interruption is this thread's alone
            with self._queue:
                self._waiting[:0] = [request for request in requests if request is not own]
            raise
        for request in requests:
            request.error, request.done = error, True


class _Request:
    """Names to be flushed, and what came of it."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.done = False
        self.error: Exception | None = None
