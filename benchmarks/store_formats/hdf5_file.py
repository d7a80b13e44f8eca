"""HDF5 through h5py: one contiguous dataset, `read_direct`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store_formats.durable import flush


class Hdf5Reader:
    """Reads the dataset ``X``."""

    def __init__(self, path: Path) -> None:
        self._file = h5py.File(path, "r")
        self._values = self._file["X"]

    def load(self) -> NDArray[Any]:
        out = np.empty(self._values.shape, self._values.dtype)
        self._values.read_direct(out)
        return out

    def load_into(self, out: NDArray[Any]) -> None:
        self._values.read_direct(out)

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        out = np.empty((rows, self._values.shape[1]), self._values.dtype)
        for start in range(0, len(self._values), rows):
            n = min(rows, len(self._values) - start)
            self._values.read_direct(out, np.s_[start : start + n], np.s_[:n])
            yield out[:n]

    def gather(self, index: NDArray[np.intp]) -> NDArray[Any]:
        # h5py selects ascending rows only.
        order = np.argsort(index)
        selected: NDArray[Any] = self._values[index[order]]
        out = np.empty_like(selected)
        out[order] = selected
        return out

    def batches(self, index: Sequence[NDArray[np.intp]]) -> Iterator[NDArray[Any]]:
        for rows in index:
            yield self.gather(rows)

    def close(self) -> None:
        self._file.close()


class Hdf5:
    """One dataset in one file."""

    name = "HDF5"
    packages = ("h5py",)
    most_rows = None

    def prepare(self, path: Path, X: NDArray[Any]) -> None:
        pass

    def write(self, path: Path, X: NDArray[Any]) -> None:
        with h5py.File(path / "values.h5", "w") as file:
            file.create_dataset("X", data=X)
        flush(path / "values.h5")

    def open(self, path: Path) -> Hdf5Reader:
        return Hdf5Reader(path / "values.h5")


FORMAT = Hdf5()
