"""StackedRows: the rows of one feature in several stores, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.checked_rows import CheckedRows
from featstore.feature import FeatureInfo


class StackedRows:
    """Rows of several sealed features of equal dim and dtype, for reading from front to back.

    Parameters
    ----------
    parts
        The features, in order.  Each is opened when its first row is asked for, and closed when
        another one's is.
    """

    def __init__(self, parts: Sequence[FeatureInfo]) -> None:
        self._parts = parts
        self._edges = np.cumsum([0, *(part.layout.rows for part in parts)])
        self._open: tuple[int, CheckedRows] | None = None

    @property
    def excluded(self) -> dict[int, str]:
        """Rows without a readable image, with the reason."""
        return {
            int(start) + row: reason
            for start, part in zip(self._edges[:-1], self._parts, strict=True)
            for row, reason in part.excluded.items()
        }

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Copy consecutive rows from `start` on into `out`, shape (m, dim), of the stored dtype.

        Raises
        ------
        CorruptStoreError
            If a shard is missing, or holds something else than was committed.
        """
        for part, first, piece in self._pieces(start, out):
            if self._open is None or self._open[0] != part:
                self._open = None
                self._open = part, CheckedRows(self._parts[part])
            self._open[1].read(first, piece)

    def _pieces(self, start: int, out: NDArray[Any]) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Yield for each part involved: which, its first row, and where its rows go."""
        done = 0
        while done < len(out):
            part = int(np.searchsorted(self._edges, start + done, side="right")) - 1
            first = start + done - int(self._edges[part])
            rows = min(len(out) - done, self._parts[part].layout.rows - first)
            yield part, first, out[done : done + rows]
            done += rows
