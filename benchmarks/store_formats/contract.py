"""Format and Reader: what a contestant has to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Reader(Protocol):
    """An open file or store that holds one matrix, shape (n, d)."""

    def load(self) -> NDArray[Any]:
        """Return all values as a new array in memory."""
        ...

    def load_into(self, out: NDArray[Any]) -> None:
        """Read all values into `out`; `NotImplementedError` where the library cannot."""
        ...

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Yield all values in order, about `rows` rows at a time, C-contiguous.

        A block may be a view of the file, and may be overwritten by the next one.
        """
        ...

    def gather(self, index: NDArray[np.intp]) -> NDArray[Any]:
        """Return rows in the order of `index`, shape (m,), as a new array in memory."""
        ...

    def batches(self, index: Sequence[NDArray[np.intp]]) -> Iterator[NDArray[Any]]:
        """Yield the rows of each index in memory; a batch may be overwritten by the next one.

        The indexes are the first batches of a shuffled pass over all rows, in the order that
        `store_harness.workload.SHUFFLE` seeds, for libraries that shuffle themselves.
        """
        ...

    def close(self) -> None:
        """Let go of the files and of every mapping of them."""
        ...


class Format(Protocol):
    """A way to keep a matrix on disk."""

    @property
    def name(self) -> str:
        """Name in tables."""
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose versions are to be reported."""
        ...

    @property
    def most_rows(self) -> int | None:
        """Rows that it is measured on where more would take too long; None for all."""
        ...

    def prepare(self, path: Path, X: NDArray[Any]) -> None:
        """Do what is not part of writing the values; `path` is an empty folder."""
        ...

    def write(self, path: Path, X: NDArray[Any]) -> None:
        """Write the values and return when they are on the medium."""
        ...

    def open(self, path: Path) -> Reader:
        """Open what `write` wrote."""
        ...
