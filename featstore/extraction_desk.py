"""ExtractionDesk: where a worker computes the units of work that it is given."""

from __future__ import annotations

import dataclasses
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from featstore.allocator import keep_freed_memory
from featstore.encoding_line import EncodingLine
from featstore.extraction_job import ExtractionJob, Step, StepOutcome, portable
from featstore.sharing import SharedWork
from featstore.store import FeatureStore
from featstore.writer import FeatureWriter

#: Seconds after which a worker says how far it has come.
_REPORT_S = 2.0


@dataclass(frozen=True)
class DeskDetails:
    """What whoever gives out the work has to know, and has no encoders to find it out.

    Attributes
    ----------
    writers
        Of all features.
    engines
        What computes those that are not complete.
    """

    writers: dict[str, FeatureWriter]
    engines: dict[str, str]


class ExtractionDesk:
    """Computes unit after unit; the next one is decoded while the last batches are encoded.

    Parameters
    ----------
    job
        The encoders are loaded by the first step.
    """

    def __init__(self, job: ExtractionJob) -> None:
        self._job = job
        self._line: EncodingLine | None = None

    @classmethod
    def begin(cls, job: ExtractionJob) -> Callable[[Step | None], StepOutcome]:
        """Set a desk up where its worker is, and return what computes there."""
        keep_freed_memory()
        return cls(job).compute

    def compute(self, step: Step | None) -> StepOutcome:
        """Go on with a unit; an error is an outcome like any other.

        Parameters
        ----------
        step
            None: get ready, or have everything committed that is computed.
        """
        try:
            if self._line is None:
                self._line = self._open()
                if step is None:
                    details = DeskDetails(self._line.writers, self._line.engines)
                    return StepOutcome(details=details)
            if step is not None:
                return self._advance(self._line, step)
            for writer in self._line.writers.values():
                writer.flush()
            return StepOutcome()
        except Exception as error:  # noqa: BLE001 - raised where the work was given out
            return StepOutcome(error=portable(error))

    def _open(self) -> EncodingLine:
        dataset = pickle.loads(self._job.dataset)
        store = FeatureStore.open(self._job.location)
        line = EncodingLine(dataset, self._job.load(), store, self._job.settings)
        # Of a large data set, twice is too much.
        self._job = dataclasses.replace(self._job, dataset=b"")
        tasks = list(line.tasks.values())
        work = SharedWork(tasks, len(dataset.samples), self._job.settings.batch_size)
        self._coming = _Coming(work.batches_of)
        self._computed = line.compute(self._coming)
        return line

    def _advance(self, line: EncodingLine, step: Step) -> StepOutcome:
        self._coming.add(step.rows)
        if step.then is not None:
            self._coming.add(step.then)
        images, end = 0, time.monotonic() + _REPORT_S
        while self._coming.batches_left(step.rows):
            rows = next(self._computed, None)
            if rows is None:  # nothing was known to follow
                self._computed = line.compute(self._coming)
                continue
            self._coming.computed(rows)
            images += len(rows)
            if time.monotonic() >= end:
                break
        done = not self._coming.batches_left(step.rows)
        if done:
            self._coming.forget(step.rows)
        return StepOutcome(images=images, done=done)


class _Coming:
    """Batches of the units that are known to come.

    An iterator that has more to give after it had nothing: who looks ahead asks again later.
    """

    def __init__(self, batches_of: Callable[[range], Iterator[range]]) -> None:
        self._batches_of = batches_of
        self._units: deque[range] = deque()
        self._batches: deque[range] = deque()
        self._left: dict[range, int] = {}

    def add(self, unit: range) -> None:
        """Take note of a unit, unless it is known."""
        if unit not in self._left and unit not in self._units:
            self._units.append(unit)

    def batches_left(self, unit: range) -> int:
        """Batches of a unit that are not computed; it is claimed if it was not yet."""
        while unit not in self._left:
            self._claim()
        return self._left[unit]

    def computed(self, rows: range) -> None:
        """Count a batch off."""
        unit = next(unit for unit in self._left if rows.start in unit)
        self._left[unit] -= 1

    def forget(self, unit: range) -> None:
        """Take a unit that is added once more for a new one."""
        del self._left[unit]

    def _claim(self) -> None:
        unit = self._units.popleft()
        batches = list(self._batches_of(unit))
        self._left[unit] = len(batches)
        self._batches += batches

    def __iter__(self) -> Iterator[range]:
        return self

    def __next__(self) -> range:
        while not self._batches:
            if not self._units:
                raise StopIteration
            self._claim()
        return self._batches.popleft()
