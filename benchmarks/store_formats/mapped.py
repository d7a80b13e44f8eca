"""MappedReader: every operation on a matrix that lies in one piece in a mapped file.

NumPy's own files, and whatever another library hands out as an array without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class MappedReader:
    """Reads a mapped array.

    Parameters
    ----------
    values
        Shape (n, d), C-contiguous; nothing else may hold it, so that `close` ends the mapping.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values

    def load(self) -> NDArray[Any]:
        return np.array(self._values)

    def load_into(self, out: NDArray[Any]) -> None:
        np.copyto(out, self._values)

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        for start in range(0, len(self._values), rows):
            yield self._values[start : start + rows]

    def gather(self, index: NDArray[np.intp]) -> NDArray[Any]:
        return np.take(self._values, index, axis=0, mode="clip")

    def batches(self, index: Sequence[NDArray[np.intp]]) -> Iterator[NDArray[Any]]:
        out = np.empty((max(map(len, index)), self._values.shape[1]), self._values.dtype)
        for rows in index:
            yield np.take(self._values, rows, axis=0, out=out[: len(rows)], mode="clip")

    def close(self) -> None:
        del self._values
