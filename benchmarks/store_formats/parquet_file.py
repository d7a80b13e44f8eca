"""Parquet: plain encoding, no compression, rows as fixed-size binary values.

As lists of numbers, the obvious type, writing takes 5 times and loading 2 to 3 times as long; the
price is that readers see bytes.  Parquet has no way to reach single rows: rows are gathered from
the row groups that hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from store_formats.durable import flush

_GROUP_ROWS = 4096


class ParquetReader:
    """Reads the column ``X``; its dtype is in the file's metadata."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path, memory_map=True)
        self._dtype = np.dtype(self._file.schema_arrow.metadata[b"dtype"].decode())
        self._rows = self._file.metadata.num_rows
        self._dim = self._file.schema_arrow.field("X").type.byte_width // self._dtype.itemsize

    def load(self) -> NDArray[Any]:
        out = np.empty((self._rows, self._dim), self._dtype)
        self.load_into(out)
        return out

    def load_into(self, out: NDArray[Any]) -> None:
        start = 0
        for block in self.blocks(_GROUP_ROWS):
            out[start : start + len(block)] = block
            start += len(block)

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        for batch in self._file.iter_batches(batch_size=rows):
            yield self._matrix(batch.column(0))

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
        self._file.close()

    def _gather(self, index: NDArray[np.intp], out: NDArray[Any]) -> None:
        groups = index // _GROUP_ROWS
        for group in np.unique(groups):
            wanted = np.flatnonzero(groups == group)
            column = self._file.read_row_group(group).column("X").combine_chunks()
            out[wanted] = self._matrix(column)[index[wanted] - group * _GROUP_ROWS]

    def _matrix(self, column: Any) -> NDArray[Any]:
        values = np.frombuffer(column.buffers()[1], self._dtype).reshape(-1, self._dim)
        return values[column.offset : column.offset + len(column)]


class Parquet:
    """One column in one file."""

    name = "Parquet"
    packages = ("pyarrow",)
    most_rows = None

    def prepare(self, path: Path, X: NDArray[Any]) -> None:
        pass

    def write(self, path: Path, X: NDArray[Any]) -> None:
        width = pa.binary(X.shape[1] * X.itemsize)
        column = pa.FixedSizeBinaryArray.from_buffers(width, len(X), [None, pa.py_buffer(X)])
        schema = pa.schema([pa.field("X", width)], {"dtype": X.dtype.name})
        pq.write_table(
            pa.table([column], schema=schema),
            path / "values.parquet",
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            row_group_size=_GROUP_ROWS,
        )
        flush(path / "values.parquet")

    def open(self, path: Path) -> ParquetReader:
        return ParquetReader(path / "values.parquet")


FORMAT = Parquet()
