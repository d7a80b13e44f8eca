"""ProcessWorker: cells computed in a process of their own on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing.connection import Connection

from featstore.study.cell import Cell
from featstore.study.desk import Desk
from featstore.study.outcome import CellOutcome


class ProcessWorker:
    """An executor of one process.

    One for each worker and not one for all: what a process holds serves the cells that it gets, and
    of a process that dies it is known which cell it was at.

    Parameters
    ----------
    threads, capacity
        Of its desk.
    """

    def __init__(self, threads: int, capacity: int | None) -> None:
        self._settings = (threads, capacity)
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._lifeline, self._held = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            1,
            mp_context=context,
            initializer=_begin,
            initargs=(self._lifeline, *self._settings),
        )

    def submit(self, cell: Cell) -> Future[CellOutcome]:
        """Begin to compute a cell."""
        try:
            return self._executor.submit(_compute, cell)
        except BrokenExecutor:  # it died idle
            self.renew()
            return self._executor.submit(_compute, cell)

    def renew(self) -> None:
        """Start another process."""
        self.close()
        self._start()

    def close(self) -> None:
        """End the process, whatever it is at: runs are stored whole or not at all."""
        self._held.close()
        self._executor.shutdown(cancel_futures=True)
        self._lifeline.close()


#: Of a worker process, which computes for one study; there is no other way to hand it on from
#: one call to the next.
_desk: Desk | None = None


def _begin(lifeline: Connection, threads: int, capacity: int | None) -> None:
    global _desk
    # Ctrl-C reaches every process of a terminal; the one that was started decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    _desk = Desk(threads, capacity)


def _end_with(lifeline: Connection) -> None:
    """End this process with the one that holds the other end, also if that is killed."""
    lifeline.poll(None)
    os._exit(1)


def _compute(cell: Cell) -> CellOutcome:
    assert _desk is not None
    return _desk.compute(cell)
