"""One ``.pt`` file per image, as kaiko-eva and many research scripts keep embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from store_formats.durable import flush


class TorchReader:
    """Reads one file per row."""

    def __init__(self, path: Path) -> None:
        self._files = sorted(path.glob("*.pt"))
        first = self._row(0)
        self._dim, self._dtype = len(first), first.dtype

    def load(self) -> NDArray[Any]:
        return self.gather(np.arange(len(self._files)))

    def load_into(self, out: NDArray[Any]) -> None:
        self._gather(np.arange(len(self._files)), out)

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        index = np.arange(len(self._files))
        return self.batches([index[i : i + rows] for i in range(0, len(index), rows)])

    def gather(self, index: NDArray[np.intp]) -> NDArray[Any]:
        out = np.empty((len(index), self._dim), self._dtype)
        self._gather(index, out)
        return out

    def batches(self, index: Sequence[NDArray[np.intp]]) -> Iterator[NDArray[Any]]:
        out = np.empty((max(map(len, index)), self._dim), self._dtype)
        for rows in index:
            self._gather(rows, out)
            yield out[: len(rows)]

    def close(self) -> None:
        del self._files

    def _gather(self, index: NDArray[np.intp], out: NDArray[Any]) -> None:
        for position, row in enumerate(index.tolist()):
            out[position] = self._row(row)

    def _row(self, row: int) -> NDArray[Any]:
        values: NDArray[Any] = torch.load(self._files[row], weights_only=True).numpy()
        return values


class TorchFiles:
    """A folder of files."""

    name = ".pt per image"
    packages = ("torch",)
    most_rows = 2000

    def prepare(self, path: Path, X: NDArray[Any]) -> None:
        (path / "values").mkdir()

    def write(self, path: Path, X: NDArray[Any]) -> None:
        for row, values in enumerate(X):
            # Without the clone every file would hold the whole matrix.
            torch.save(torch.from_numpy(values).clone(), path / "values" / f"{row:08d}.pt")
        flush(path / "values")

    def open(self, path: Path) -> TorchReader:
        return TorchReader(path / "values")


FORMAT = TorchFiles()
