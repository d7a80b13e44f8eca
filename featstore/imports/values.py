"""Values: matrices of foreign features, gathered by rows without holding them in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError

#: Precisions that features come in; bfloat16 is handed out as float32, which holds all of it.
PRECISIONS = ("float16", "bfloat16", "float32", "float64")
#: Rows that are read in one go from files that give ranges only.
WINDOW_BYTES = 16 << 20


class NoRowsError(InvalidInputError):
    """A file is sound and holds no rows."""


class Values(Protocol):
    """A matrix of features in a file of another tool."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, dim)."""
        ...

    @property
    def precision(self) -> str:
        """One of `PRECISIONS`."""
        ...

    @property
    def random_access(self) -> bool:
        """Whether rows in any order cost no more than rows in the file's order."""
        ...

    def take(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Gather rows, strictly ascending, shape (m,); returns (m, dim) floats."""
        ...


class MappedValues:
    """An array in memory or mapped into it.

    Parameters
    ----------
    array
        Shape (n, dim), float16, float32 or float64; or uint16 with the bits of bfloat16.
    bfloat16
        Whether the values are such bits.
    """

    random_access = True

    def __init__(self, array: NDArray[Any], *, bfloat16: bool = False) -> None:
        self._array = array
        self._bfloat16 = bfloat16
        self.shape: tuple[int, int] = (array.shape[0], array.shape[1])
        self.precision = "bfloat16" if bfloat16 else array.dtype.name

    def take(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Gather rows."""
        found: NDArray[Any] = self._array[rows]
        if self._bfloat16:
            # A bfloat16 is the upper half of the float32 of the same value.
            return (found.astype(np.uint32) << 16).view(np.float32)
        return found


class RangedValues:
    """Values of a file that hands out consecutive rows.

    Parameters
    ----------
    shape, precision
        See `Values`.
    read
        Returns rows [start, stop), shape (stop - start, dim).
    random_access
        Whether single rows are as cheap as ranges.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        precision: str,
        read: Callable[[int, int], NDArray[Any]],
        *,
        random_access: bool = False,
    ) -> None:
        self.shape = shape
        self.precision = precision
        self.random_access = random_access
        self._read = read

    def take(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Gather rows, a window of the file at a time."""
        size = 1 if self.random_access else max(WINDOW_BYTES // (8 * self.shape[1]), 1)
        parts, i = [], 0
        while i < len(rows):
            start = int(rows[i])
            j = int(np.searchsorted(rows, start + size))
            parts.append(self._read(start, int(rows[j - 1]) + 1)[rows[i:j] - start])
            i = j
        return _joined(parts, self.shape[1])


class StreamedValues:
    """Values of a file that is cheap to read from front to back only.

    Parameters
    ----------
    shape, precision
        See `Values`.
    blocks
        Starts reading from the front; yields consecutive rows, shape (any, dim).
    """

    random_access = False

    def __init__(
        self, shape: tuple[int, int], precision: str, blocks: Callable[[], Iterator[NDArray[Any]]]
    ) -> None:
        self.shape = shape
        self.precision = precision
        self._open = blocks
        self._blocks: Iterator[NDArray[Any]] = iter(())
        self._block: NDArray[Any] = np.empty((0, shape[1]))
        self._start = shape[0] + 1

    def take(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Gather rows; going on where the last call ended costs nothing, going back a restart."""
        parts, i = [], 0
        if len(rows) and rows[0] < self._start:
            self._blocks, self._start = self._open(), 0
            self._block = np.empty((0, self.shape[1]))
        while i < len(rows):
            stop = self._start + len(self._block)
            j = int(np.searchsorted(rows, stop))
            if j > i:
                parts.append(self._block[rows[i:j] - self._start])
            i = j
            if i < len(rows):
                self._start = stop
                self._block = self._next_block()
        return _joined(parts, self.shape[1])

    def _next_block(self) -> NDArray[Any]:
        block = next(self._blocks, None)
        if block is None:
            raise InvalidInputError(
                f"the file ends after {self._start} of {self.shape[0]} rows: it is incomplete"
            )
        return block


class StackedValues:
    """Several matrices, one below the other.

    Parameters
    ----------
    parts
        Of equal dim.

    Raises
    ------
    InvalidInputError
        If their dims differ.
    """

    def __init__(self, parts: Sequence[Values]) -> None:
        dims = [part.shape[1] for part in parts]
        if len(set(dims)) > 1:
            other = next(i for i, dim in enumerate(dims) if dim != dims[0])
            raise InvalidInputError(
                f"the files hold vectors of different length: {dims[0]} in the first, "
                f"{dims[other]} in number {other + 1}; import them as features of their own"
            )
        self._parts = parts
        self._edges = [0, *itertools.accumulate(part.shape[0] for part in parts)]
        self.shape = (self._edges[-1], dims[0])
        self.random_access = all(part.random_access for part in parts)

    @property
    def precision(self) -> str:
        """The parts' own; float32 or float64 where they differ."""
        names = {part.precision for part in self._parts}
        if len(names) == 1:
            return names.pop()
        return "float64" if "float64" in names else "float32"

    def take(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Gather rows from each part."""
        cuts = np.searchsorted(rows, self._edges)
        found = [
            part.take(rows[a:b] - edge)
            for part, edge, (a, b) in zip(
                self._parts, self._edges[:-1], itertools.pairwise(cuts.tolist()), strict=True
            )
            if b > a
        ]
        return _joined(found, self.shape[1])


def check_floats(shape: Sequence[int], dtype: str, where: str) -> tuple[int, int]:
    """Return the shape of a matrix of features.

    Raises
    ------
    InvalidInputError
        If it is no matrix, is empty, or does not hold floats.
    """
    if len(shape) != 2:
        raise InvalidInputError(
            f"{where} has shape {tuple(shape)}; features are one vector per image, (n, dim): pool "
            "or flatten the rest first"
        )
    if dtype not in PRECISIONS:
        raise InvalidInputError(
            f"{where} holds {dtype}, and features are {', '.join(PRECISIONS)}; choose another "
            "array with --key, or convert it first"
        )
    if not shape[0] or not shape[1]:
        kind = InvalidInputError if shape[0] else NoRowsError
        raise kind(f"{where} is empty: its shape is {tuple(shape)}")
    return int(shape[0]), int(shape[1])


def _joined(parts: Sequence[NDArray[Any]], dim: int) -> NDArray[Any]:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty((0, dim), np.float32)
