"""DerivedRows: rows computed from those of other features whenever they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.rows import Rows

_BATCH = 4096

#: Rows (m, D) of the sources side by side, float32, to rows (m, dim).
RowFunction = Callable[[NDArray[np.float32]], NDArray[np.floating]]


class DerivedRows:
    """All rows of a feature that is nowhere stored; as `featstore.rows.Rows`.

    Parameters
    ----------
    sources
        Rows of the features it is made of, with their dimensions.
    function
        From source rows to rows of the feature.

    Examples
    --------
    >>> from featstore.rows import ArrayRows
    >>> stored = ArrayRows(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
    >>> out = np.empty((1, 1), np.float32)
    >>> DerivedRows([(stored, 2)], lambda rows: rows.sum(axis=1, keepdims=True)).read(1, out)
    >>> out.tolist()
    [[7.0]]
    """

    def __init__(self, sources: Sequence[tuple[Rows, int]], function: RowFunction) -> None:
        self._sources = tuple(sources)
        self._dim = sum(dim for _, dim in sources)
        self._function = function

    def take(self, index: NDArray[np.intp], out: NDArray[Any]) -> None:
        """Compute rows, shape (m,), into `out`, shape (m, dim)."""
        for start in range(0, len(index), _BATCH):
            some = index[start : start + _BATCH]
            values, column = np.empty((len(some), self._dim), np.float32), 0
            for rows, dim in self._sources:
                rows.take(some, values[:, column : column + dim])
                column += dim
            out[start : start + len(some)] = self._function(values)

    def prefetch(self, index: NDArray[np.intp]) -> bool:
        """Have the rows read that these are computed from."""
        asked = [rows.prefetch(index) for rows, _ in self._sources]
        return any(asked)

    def read(self, start: int, out: NDArray[Any]) -> None:
        """Compute consecutive rows from `start` on into `out`."""
        self.take(np.arange(start, start + len(out)), out)

    def window(self, start: int, stop: int) -> None:
        """Return None: there is no memory to show."""
        return

    def scan(self, start: int, stop: int, size: int) -> Iterator[NDArray[Any]] | None:
        """Return None: rows are computed as they are gathered."""
        return None
