"""NumPy: one file of bare values. The limit that ratios are relative to.

`tofile` and one fsync; `fromfile`; `memmap` with `take`.  No header, no checksum, not resumable.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store_formats.mapped import MappedReader


class NumpyReader(MappedReader):
    """`MappedReader` whose loads read instead of copying."""

    def __init__(self, path: Path, shape: tuple[int, int], dtype: str) -> None:
        super().__init__(np.memmap(path, dtype, "r", shape=shape))
        self._path = path

    def load(self) -> NDArray[Any]:
        return np.fromfile(self._path, self._values.dtype).reshape(self._values.shape)

    def load_into(self, out: NDArray[Any]) -> None:
        with self._path.open("rb", buffering=0) as file:
            left = out.reshape(-1).view(np.uint8).data
            while left:  # the system reads 2 GiB at a time at most
                left = left[file.readinto(left) :]


class NumpyFiles:
    """Bare values."""

    name = "numpy"
    packages = ("numpy",)
    most_rows = None

    def prepare(self, path: Path, X: NDArray[Any]) -> None:
        # Bare values do not say what they are.
        (path / "shape").write_text(f"{X.shape[0]} {X.shape[1]} {X.dtype}")

    def write(self, path: Path, X: NDArray[Any]) -> None:
        with (path / "values").open("wb") as file:
            X.tofile(file)
            file.flush()
            os.fsync(file.fileno())

    def open(self, path: Path) -> NumpyReader:
        n, d, dtype = (path / "shape").read_text().split()
        return NumpyReader(path / "values", (int(n), int(d)), dtype)


FORMAT = NumpyFiles()
