"""InlineWorker: cells computed in this process."""

from __future__ import annotations

from concurrent.futures import Future

from featstore.study.cell import Cell
from featstore.study.desk import Desk
from featstore.study.outcome import CellOutcome


class InlineWorker:
    """Computes while the caller waits.

    Parameters
    ----------
    threads, capacity
        Of its desk.
    """

    def __init__(self, threads: int, capacity: int | None) -> None:
        self._desk = Desk(threads, capacity)

    def submit(self, cell: Cell) -> Future[CellOutcome]:
        """Compute a cell."""
        future: Future[CellOutcome] = Future()
        future.set_result(self._desk.compute(cell))
        return future

    def renew(self) -> None:
        """Do nothing: where this dies, everything does."""

    def close(self) -> None:
        """Do nothing."""
