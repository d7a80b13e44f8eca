"""RemoteRows: rows of a feature on object storage, read range by range and side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from featstore.errors import CorruptStoreError
from featstore.object_client import REQUESTS, request_threads
from featstore.object_folder import ObjectFolder
from featstore.row_ranges import PIECE_BYTES, Piece, plan
from featstore.shards import ShardLayout, shard_name

_Work = TypeVar("_Work")


class RemoteRows:
    """All rows of a sealed feature; see `featstore.rows.Rows`.

    Nothing is read ahead and nothing is kept.  At most `REQUESTS` pieces of a few MiB are under way
    at a time, whatever is asked for.

    Parameters
    ----------
    folder
        The feature's folder.
    layout
        Its layout.
    """

    def __init__(self, folder: ObjectFolder, layout: ShardLayout) -> None:
        self._folder = folder
        self._layout = layout
        self._dtype = np.dtype(layout.dtype).newbyteorder("<")

    def take(self, index: NDArray[np.intp], out: NDArray[Any]) -> None:
        """Gather rows, shape (m,), into `out`, shape (m, dim), which may have gaps.

        Raises
        ------
        CorruptStoreError
            If a shard is missing or too short.
        StorageError
            If the service cannot be reached, or refuses.
        """
        order = np.argsort(index, kind="stable")

        def gather(piece: Piece) -> None:
            rows = self._fetch(piece.shard, piece.starts, piece.lengths)
            out[order[piece.wanted]] = rows[piece.offsets]

        _side_by_side(gather, plan(index[order], self._layout))

    def prefetch(self, index: NDArray[np.intp]) -> bool:
        """Do nothing: there is no cache that rows could be read into."""
        return False

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Copy consecutive rows from `start` on into `out`, shape (m, dim).

        Raises
        ------
        CorruptStoreError
            If a shard is missing or too short.
        StorageError
            If the service cannot be reached, or refuses.
        """
        row_bytes, shard_rows = self._layout.row_bytes, self._layout.shard_rows
        step = max(PIECE_BYTES // row_bytes, 1)
        stop = start + len(out)

        def copy(rows: range) -> None:
            shard, first = divmod(rows.start, shard_rows)
            fetched = self._fetch(shard, [first * row_bytes], [len(rows) * row_bytes])
            out[rows.start - start : rows.stop - start] = fetched

        ranges = (
            range(first, min(first + step, shard_stop))
            for shard_start, shard_stop in _cut(start, stop, shard_rows)
            for first in range(shard_start, shard_stop, step)
        )
        _side_by_side(copy, ranges)

    def window(self, start: int, stop: int) -> None:
        """Return None: every row has to be fetched."""

    def scan(self, start: int, stop: int, size: int) -> None:
        """Return None: there are no windows."""

    def _fetch(self, shard: int, starts: list[int], lengths: list[int]) -> NDArray[Any]:
        """Return the rows of byte ranges of a shard, shape (rows of all ranges, dim)."""
        name = shard_name(shard)
        try:
            content = self._folder.ranges(name, starts, lengths)
        except FileNotFoundError as error:
            raise CorruptStoreError(
                f"{self._folder}/{name} is missing; remove the feature (featstore rm) and extract "
                "it again"
            ) from error
        return np.frombuffer(content, self._dtype).reshape(-1, self._layout.dim)


def _cut(start: int, stop: int, size: int) -> Iterable[tuple[int, int]]:
    """Cut [start, stop) at the multiples of `size`."""
    while start < stop:
        end = min((start // size + 1) * size, stop)
        yield start, end
        start = end


def _side_by_side(work: Callable[[_Work], None], items: Iterable[_Work]) -> None:
    """Do work(item) for every item, a bounded number at a time; the first error ends it."""
    under_way: deque[Future[None]] = deque()
    try:
        for item in items:
            under_way.append(request_threads().submit(work, item))
            if len(under_way) == REQUESTS:
                under_way.popleft().result()
        while under_way:
            under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
