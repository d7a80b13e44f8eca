"""Crew: workers that are given units of work, and replaced when they die."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from featstore.errors import WorkerDiedError
from featstore.extraction_job import Step, StepOutcome
from featstore.workers import Worker

#: Deaths in a row that are put down to chance: of those who were at one unit, and of those who had
#: not begun yet.
LIVES = 3


class Crew:
    """Workers, one step under way with each.

    A worker gets work once it has said that it is ready: one that waits for a machine holds up
    nobody.  What a dead worker was at goes to the next, unit by unit, so that one that kills is
    told from the one that was decoded ahead of it or behind it.

    Parameters
    ----------
    workers
        Closed by `close`.
    describe
        Says whose rows a unit holds, for messages.
    """

    def __init__(
        self,
        workers: Sequence[Worker[Step | None, StepOutcome]],
        describe: Callable[[range], str],
    ) -> None:
        self._workers = workers
        self._describe = describe
        self._running: dict[Future[StepOutcome], tuple[int, Step | None]] = {}
        self._idle: list[int] = []
        self._deaths: Counter[range | None] = Counter()
        self._suspects: set[range] = set()
        self.replaced = 0
        for number in range(len(workers)):
            self._submit(number, None)

    def open(self) -> StepOutcome:
        """Wait for the first worker that is ready, and return what it says.

        Raises
        ------
        WorkerDiedError
            If they die before they are.
        Exception
            That made it fail.
        """
        while True:
            for number, _, outcome in self._finished(deque()):
                self._idle.append(number)
                return outcome

    def compute(self, units: Sequence[range]) -> Iterator[StepOutcome]:
        """Have units computed, and yield the outcome of every step.

        When it ends, what was computed is committed, save by workers that died of late.

        Parameters
        ----------
        units
            In the order in which they are given out.

        Raises
        ------
        WorkerDiedError
            If a unit kills one worker after the other.
        Exception
            The first that an outcome holds.
        """
        queue = deque(units)
        while True:
            while self._idle and queue:
                self._give(self._idle.pop(), queue.popleft(), queue)
            if not queue and all(step is None for _, step in self._running.values()):
                break
            for number, step, outcome in self._finished(queue):
                if step is None:
                    self._idle.append(number)
                    continue
                yield outcome
                if not outcome.done:
                    self._submit(number, step)
                elif step.then is not None:
                    self._give(number, step.then, queue)
                else:
                    self._idle.append(number)
        self._flush()

    def close(self) -> None:
        """End all workers, whatever they are at."""
        for worker in self._workers:
            worker.close()

    def _give(self, number: int, rows: range, queue: deque[range]) -> None:
        # The last units go to whoever is free first, suspects go alone.
        foretold = len(queue) >= len(self._workers)
        alone = rows in self._suspects or (foretold and queue[0] in self._suspects)
        then = queue.popleft() if foretold and not alone else None
        self._submit(number, Step(rows, then))

    def _submit(self, number: int, step: Step | None) -> Future[StepOutcome]:
        future = self._workers[number].submit(step)
        self._running[future] = (number, step)
        return future

    def _finished(self, queue: deque[range]) -> Iterator[tuple[int, Step | None, StepOutcome]]:
        """Wait until a step is over, and yield those that are; the dead give back their units."""
        for future in wait(self._running, return_when=FIRST_COMPLETED).done:
            number, step = self._running.pop(future)
            death = future.exception()
            if death is not None:
                self._replace(number, step, death)
                if step is not None:
                    lost = [rows for rows in (step.then, step.rows) if rows is not None]
                    self._suspects.update(lost)
                    queue.extendleft(lost)
                continue
            outcome = future.result()
            if outcome.error is not None:
                raise outcome.error
            if step is None:
                del self._deaths[None]
            yield number, step, outcome

    def _replace(self, number: int, step: Step | None, death: BaseException) -> None:
        at = None if step is None else step.rows
        self._deaths[at] += 1
        if self._deaths[at] >= LIVES:
            if at is None and (self._idle or self._running):
                return  # the others do without it
            raise WorkerDiedError(_message(death, self._deaths[at], self._named(at))) from death
        self.replaced += 1
        self._workers[number].renew()
        self._submit(number, None)

    def _named(self, unit: range | None) -> str | None:
        return None if unit is None else self._describe(unit)

    def _flush(self) -> None:
        """Wait until those that are free have committed what they computed."""
        free, self._idle = self._idle, []
        flushes = [self._submit(number, None) for number in free]
        # Nobody waits for those who come in the place of the dead.
        while any(future in self._running for future in flushes):
            for number, _, _ in self._finished(deque()):
                self._idle.append(number)


def _message(death: BaseException, deaths: int, images: str | None) -> str:
    """Say who died, and what may help; `images` are None where they had not begun."""
    how = f"{type(death).__name__}: {(str(death).strip().splitlines() or [''])[0]}"
    if images is None:
        return (
            f"processes that were to compute died before they had begun, {deaths} in a row "
            f"({how}). Does their memory suffice for the network? Is featstore installed where "
            'they are? A script must start them under `if __name__ == "__main__":`'
        )
    return (
        f"the process that computes {images} died {deaths} times in a row ({how}): killed for want "
        "of memory, or by a decoder that crashes? What was committed is kept. Try a smaller "
        "--batch-size or fewer --processes; if it is an image, find and remove it"
    )
