"""Lance: a column of fixed-size lists; `take` for rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from store_formats import arrow_table
from store_formats.durable import flush


class LanceReader:
    """Reads a Lance data set."""

    def __init__(self, path: Path) -> None:
        self._dataset = lance.dataset(path)

    def load(self) -> NDArray[Any]:
        return arrow_table.stacked(self._dataset.to_table().column("X"))

    def load_into(self, out: NDArray[Any]) -> None:
        start = 0
        for batch in self._dataset.to_batches():
            out[start : start + len(batch)] = arrow_table.matrix(batch.column(0))
            start += len(batch)

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        for batch in self._dataset.to_batches(batch_size=rows):
            yield arrow_table.matrix(batch.column(0))

    def gather(self, index: NDArray[np.intp]) -> NDArray[Any]:
        return arrow_table.stacked(self._dataset.take(pa.array(index)).column("X"))

    def batches(self, index: Sequence[NDArray[np.intp]]) -> Iterator[NDArray[Any]]:
        for rows in index:
            column = self._dataset.take(pa.array(rows)).column("X")
            yield arrow_table.matrix(column.combine_chunks())

    def close(self) -> None:
        del self._dataset


class Lance:
    """One data set of one column."""

    name = "Lance"
    packages = ("pylance",)
    most_rows = None

    def prepare(self, path: Path, X: NDArray[Any]) -> None:
        pass

    def write(self, path: Path, X: NDArray[Any]) -> None:
        lance.write_dataset(pa.table(arrow_table.record_batch(X)), path / "values.lance")
        flush(path / "values.lance")

    def open(self, path: Path) -> LanceReader:
        return LanceReader(path / "values.lance")


FORMAT = Lance()
