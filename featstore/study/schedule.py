"""Schedule: which cell goes to which worker, so that what cells share is made once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from featstore.study.cell import Cell
from featstore.study.outcome import CellOutcome
from featstore.study.plan import PlannedCell
from featstore.workers import Worker

_WORTH_SHARING = 2  # cells: for a last one alone no second worker reads the matrix again


class Schedule:
    """Hands out cells: to each worker those of one group, until groups run out.

    Parameters
    ----------
    cells
        To compute.
    memory
        Bytes for all workers together; None for no ceiling.  One worker may always work.
    """

    def __init__(self, cells: Sequence[PlannedCell], *, memory: int | None = None) -> None:
        self._memory = memory
        self._left: dict[tuple[object, ...], deque[PlannedCell]] = {}
        for planned in cells:
            self._left.setdefault(planned.cell.group, deque()).append(planned)
        self._need = {
            group: max(planned.need for planned in members) for group, members in self._left.items()
        }
        self._at: dict[int, tuple[object, ...]] = {}

    def next(self, worker: int) -> PlannedCell | None:
        """Return the cell that a worker is to compute now; None to let it wait or rest.

        Parameters
        ----------
        worker
            Its number; it has finished what it was at.
        """
        group = self._at.pop(worker, None)
        if group is None or not self._left[group]:
            group = self._choose()
        if group is None:
            return None
        self._at[worker] = group
        return self._left[group].popleft()

    def _choose(self) -> tuple[object, ...] | None:
        taken = set(self._at.values())
        held = sum(self._need[group] for group in self._at.values())
        fresh = [group for group, left in self._left.items() if left and group not in taken]
        fresh.sort(key=lambda group: -self._need[group] * len(self._left[group]))
        begun = [group for group in taken if len(self._left[group]) >= _WORTH_SHARING]
        begun.sort(key=lambda group: -len(self._left[group]))
        for group in fresh + begun:
            fits = self._memory is None or held + self._need[group] <= self._memory
            if fits or not self._at:
                return group
        return None


def compute(
    schedule: Schedule, workers: Sequence[Worker[Cell, CellOutcome]]
) -> Iterator[tuple[PlannedCell, CellOutcome]]:
    """Compute all cells; yield each with its outcome as it comes.

    A worker that dies costs its own cell alone, which is thereby known, and is replaced.

    Parameters
    ----------
    schedule
        Of the cells.
    workers
        Closed at the end, or when the caller stops.
    """
    running: dict[Future[CellOutcome], tuple[int, PlannedCell]] = {}
    try:
        while True:
            busy = {number for number, _ in running.values()}
            for number, worker in enumerate(workers):
                planned = None if number in busy else schedule.next(number)
                if planned is not None:
                    running[worker.submit(planned.cell)] = (number, planned)
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number, planned = running.pop(future)
                error = future.exception()
                if error is None:
                    yield planned, future.result()
                    continue
                workers[number].renew()
                yield (
                    planned,
                    CellOutcome(
                        None,
                        type(error).__name__,
                        "the process that computed it died: killed, or out of memory? Lower the "
                        "number of workers, or set max_memory",
                    ),
                )
    finally:
        for worker in workers:
            worker.close()
