"""ProcessWorker: computes in a process of its own on this machine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Generic, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: Seconds that a process has to end after it was told, and after each stronger word.
PATIENCE_S = 5.0


class ProcessWorker(Generic[_Item, _Result]):
    """An executor of one process.

    One for each worker and not one for all: what a process holds serves the items that it gets, and
    of a process that dies it is known which item it was at.

    Parameters
    ----------
    begin
        See `featstore.workers.worker.Worker`; it can be pickled.
    """

    def __init__(self, begin: Callable[[], Callable[[_Item], _Result]]) -> None:
        self._begin = begin
        self._start()

    def _start(self) -> None:
        context = _Recording()
        self._processes = context.started
        self._lifeline, self._held = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            1,
            mp_context=context,
            initializer=_begin,
            initargs=(self._lifeline, self._begin),
        )

    def submit(self, item: _Item) -> Future[_Result]:
        """Begin to compute an item."""
        try:
            return self._executor.submit(_compute, item)
        except BrokenExecutor:  # it died idle
            self.renew()
            return self._executor.submit(_compute, item)

    def renew(self) -> None:
        """Start another process."""
        self.close()
        self._start()

    def close(self) -> None:
        """End the process, whatever it is at: what it writes is written whole or not at all.

        Native code may keep the interpreter's lock, and the process from noticing; then the system
        ends it.
        """
        self._held.close()
        for process in self._processes:
            process.join(PATIENCE_S)
            for end in (process.terminate, process.kill):
                if process.is_alive():
                    end()
                    process.join(PATIENCE_S)
        self._executor.shutdown(cancel_futures=True)
        self._lifeline.close()


class _Recording(SpawnContext):
    """Notes the processes that an executor starts, which it keeps to itself."""

    def __init__(self) -> None:
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        process = SpawnProcess(*args, **options)
        self.started.append(process)
        return process


#: What a worker process computes with; there is no other way to hand it on from one call to the
#: next.
_work: Callable[[Any], Any] | None = None


def _begin(lifeline: Connection, begin: Callable[[], Callable[[Any], Any]]) -> None:
    global _work
    # Ctrl-C reaches every process of a terminal; the one that was started decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    _work = begin()


def _end_with(lifeline: Connection) -> None:
    """End this process with the one that holds the other end, also if that is killed."""
    lifeline.poll(None)
    os._exit(1)


def _compute(item: Any) -> Any:
    assert _work is not None
    return _work(item)
