"""Sharing: which rows are still to be computed, and who is at them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from featstore.feature_task import FeatureTask
from featstore.rank import Rank
from featstore.writer import FeatureWriter

#: Seconds between two looks at what others are computing.
POLL_S = 0.2


class SharedWork:
    """The rows that some feature lacks, in units that one process computes at a time.

    Processes that extract the same features at once, on one machine or on several that share the
    store, divide the units among them: each claims the next that nobody is at.  Where claims cannot
    be told apart (object storage, file systems without locks), ranks divide them beforehand.

    Parameters
    ----------
    tasks
        The features.
    n_rows
        Rows of the store.
    batch_size
        Rows of a batch at most.
    rank
        Leave units to processes of other ranks; None leaves none.
    """

    def __init__(
        self,
        tasks: Sequence[FeatureTask],
        n_rows: int,
        batch_size: int,
        *,
        rank: Rank | None = None,
    ) -> None:
        self._tasks = tasks
        self._batch_size = batch_size
        # Shards of different features nest: their sizes are powers of two.
        unit = max((task.shard_rows for task in tasks), default=1)
        self._step = min((task.shard_rows for task in tasks), default=1)
        self._units = [
            rows
            for rows in _cut(n_rows, unit)
            # Counted from the first row, so that all ranks agree however much is done.
            if (rank is None or rank.owns(rows.start // unit)) and self._is_pending(rows)
        ]

    @property
    def left(self) -> int:
        """Rows that are not computed, as far as is known."""
        return sum(len(step) for unit in self._units for step in self._steps(unit))

    def batches(self) -> Iterator[range]:
        """Claim unit after unit, and yield the batches of each; none crosses the end of a shard.

        Units that others are at are left; another call, once the batches are computed, sees what
        became of them.
        """
        for unit in list(self._units):
            yield from self.batches_of(unit)
            if not self._is_pending(unit):
                self._units.remove(unit)

    def batches_of(self, unit: range) -> Iterator[range]:
        """Claim a unit, and yield the batches of what was granted."""
        for task in self._tasks:
            task.claim(unit)
        for step in self._steps(unit):
            if any(task.needs(step.start) for task in self._tasks):
                for first in range(step.start, step.stop, self._batch_size):
                    yield range(first, min(first + self._batch_size, step.stop))

    def wait(self) -> None:
        """Wait a moment for the others; what a dead process was at can then be claimed."""
        time.sleep(POLL_S)

    def close(self) -> None:
        """Give back what was claimed and not computed."""
        for task in self._tasks:
            task.writer.release()

    def _is_pending(self, rows: range) -> bool:
        return any(True for task in self._tasks for _ in task.pending(rows))

    def _steps(self, unit: range) -> Iterator[range]:
        """Pieces of a unit, as small as the smallest shard, that some feature lacks."""
        for start in range(unit.start, unit.stop, self._step):
            rows = range(start, min(start + self._step, unit.stop))
            if self._is_pending(rows):
                yield rows


def pending_units(writers: Sequence[FeatureWriter], n_rows: int) -> list[range]:
    """Return the units of work with shards that no process has committed yet.

    Parameters
    ----------
    writers
        Of the features.
    n_rows
        Rows of the store.
    """
    pending = [(writer.layout.shard_rows, set(writer.pending())) for writer in writers]
    unit = max((writer.layout.shard_rows for writer in writers), default=1)
    return [
        rows
        for rows in _cut(n_rows, unit)
        if any(
            shard in shards
            for size, shards in pending
            for shard in range(rows.start // size, -(-rows.stop // size))
        )
    ]


def _cut(n_rows: int, unit: int) -> Iterator[range]:
    return (range(start, min(start + unit, n_rows)) for start in range(0, n_rows, unit))
