"""Aligned: foreign values in the order of a store's samples and in its precision."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.finite import finite_rows
from featstore.imports.values import MappedValues, Values
from featstore.spec import StoredDtype

#: Rows are surveyed in blocks of about this size.
_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass over the values found.

    Attributes
    ----------
    digest
        Sha256 over shape, dtype and all values as they will be stored, row by row.
    not_finite
        Samples whose values hold NaN or Inf.
    overflowing
        Samples with finite values that the stored dtype cannot hold.
    rounded
        Whether some value is not stored exactly.
    """

    digest: str
    not_finite: NDArray[np.intp]
    overflowing: NDArray[np.intp]
    rounded: bool


class AlignedValues:
    """Values of a file, row i belonging to sample i.

    Parameters
    ----------
    values
        Of the file.
    rows
        Row of the file for each sample; -1 where it has none.
    dtype
        Stored precision.
    """

    def __init__(self, values: Values, rows: NDArray[np.intp], dtype: StoredDtype) -> None:
        present = rows[rows >= 0]
        if not values.random_access and (np.diff(present) < 0).any():
            values = _spooled(values)
        self._values = values
        self._rows = rows
        self.dim = values.shape[1]
        self.stored: StoredDtype = dtype

    def __len__(self) -> int:
        return len(self._rows)

    def block(self, start: int, stop: int) -> NDArray[Any]:
        """Return samples [start, stop) as they are stored, shape (stop - start, dim).

        NaN where the file has no row, or one with NaN or Inf.
        """
        return self._block(start, stop)[1]

    def survey(self, advance: Callable[[int], None]) -> Survey:
        """Look at all values once.

        Parameters
        ----------
        advance
            Told the number of rows that were looked at.
        """
        digest = hashlib.sha256(f"{len(self)} x {self.dim} {self.stored}\0".encode())
        not_finite: list[NDArray[np.intp]] = []
        overflowing: list[NDArray[np.intp]] = []
        rounded = False
        size = max(_BLOCK_BYTES // (8 * self.dim), 1)
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            given, stored = self._block(start, stop)
            digest.update(stored.data)
            bad = ~finite_rows(stored)
            missing = self._rows[start:stop] < 0
            broken = ~np.isfinite(given).all(axis=1)
            not_finite.append(start + np.flatnonzero(broken & ~missing))
            overflowing.append(start + np.flatnonzero(bad & ~broken))
            rounded = rounded or bool((given[~bad] != stored[~bad]).any())
            advance(stop - start)
        return Survey(
            digest.hexdigest(), np.concatenate(not_finite), np.concatenate(overflowing), rounded
        )

    def _block(self, start: int, stop: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Values as the file has them, and as they are stored."""
        rows = self._rows[start:stop]
        order = np.argsort(rows, kind="stable")
        order = order[rows[order] >= 0]
        taken = self._values.take(rows[order])
        given = np.full((len(rows), self.dim), np.nan, taken.dtype)
        given[order] = taken
        with np.errstate(over="ignore"):
            stored = given.astype(self.stored)
        # One NaN for all: which bits a tool wrote for it must not change the digest.
        stored[~np.isfinite(given).all(axis=1)] = np.nan
        return given, stored


def _spooled(values: Values) -> MappedValues:
    """Copy values that have to be read in order to a temporary file that takes any order."""
    n, dim = values.shape
    size = max(_BLOCK_BYTES // (8 * dim), 1)
    with tempfile.TemporaryFile() as file:
        for start in range(0, n, size):
            block = values.take(np.arange(start, min(start + size, n)))
            file.write(np.ascontiguousarray(block).data)
        file.flush()
        # The mapping keeps the file alive after its name and descriptor are gone.
        return MappedValues(np.memmap(file, block.dtype, "r", shape=(n, dim)))
