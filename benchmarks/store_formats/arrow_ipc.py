"""Arrow IPC: one record batch with a column of fixed-size lists, memory-mapped.

One batch, because then the whole column is one array without a copy; in files of many batches,
as streaming writers make them, Arrow's `take` joins all of them in memory for every call.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from store_formats import arrow_table
from store_formats.durable import flush
from store_formats.mapped import MappedReader


class ArrowIpc:
    """One column in one file."""

    name = "Arrow IPC"
    packages = ("pyarrow",)
    most_rows = None

    def prepare(self, path: Path, X: NDArray[Any]) -> None:
        pass

    def write(self, path: Path, X: NDArray[Any]) -> None:
        with (
            pa.OSFile(str(path / "values.arrow"), "wb") as sink,
            pyarrow.ipc.new_file(sink, arrow_table.schema(X)) as writer,
        ):
            writer.write_batch(arrow_table.record_batch(X))
        flush(path / "values.arrow")

    def open(self, path: Path) -> MappedReader:
        file = pyarrow.ipc.open_file(pa.memory_map(str(path / "values.arrow")))
        return MappedReader(arrow_table.matrix(file.get_batch(0).column(0)))


FORMAT = ArrowIpc()
