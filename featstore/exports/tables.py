"""Tables: Parquet and Arrow, one row per sample, its vector in the column ``embedding``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from featstore.exchange import KEY
from featstore.exports.sheet import Sheet
from featstore.new_file import new_file
from featstore.samples import UNLABELLED, Target

_FIXED = ("id", "split", "embedding")


def write_parquet(sheet: Sheet, path: Path) -> list[Path]:
    """Write a Parquet file."""
    import pyarrow.parquet as pq

    schema = table_schema(sheet)
    # Dictionaries and statistics of numbers that never repeat cost time and space.
    with (
        new_file(path) as temporary,
        pq.ParquetWriter(temporary, schema, use_dictionary=False, write_statistics=False) as writer,
    ):
        for batch in record_batches(sheet, schema):
            writer.write_batch(batch)
    return [path]


def write_arrow(sheet: Sheet, path: Path) -> list[Path]:
    """Write an Arrow IPC file, which other programs can map (also called Feather 2)."""
    import pyarrow as pa

    schema = table_schema(sheet)
    with new_file(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
        for batch in record_batches(sheet, schema):
            writer.write_batch(batch)
    return [path]


def table_schema(sheet: Sheet) -> Any:
    """Return the Arrow schema: id, split, a column per target, embedding."""
    import pyarrow as pa

    columns = sheet.column_names(*_FIXED)
    fields = [("id", pa.string()), ("split", pa.string())]
    fields += [
        (columns[name], pa.string() if target.kind == "single" else pa.list_(pa.string()))
        for name, target in sheet.targets.items()
    ]
    number = pa.from_numpy_dtype(sheet.view.dtype)
    return pa.schema(
        [*fields, ("embedding", pa.list_(number, sheet.shape[1]))],
        metadata={KEY: sheet.document(columns)},
    )


def record_batches(sheet: Sheet, schema: Any) -> Iterator[Any]:
    """Yield all rows; the vectors are not copied."""
    import pyarrow as pa

    start, ids = 0, sheet.ids
    for block in sheet.blocks():
        rows = slice(start, start + len(block))
        start = rows.stop
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), block.shape[1])
        columns = [
            ids[rows].tolist(),
            [name or None for name in sheet.splits[rows].tolist()],
            *(_labels(target, rows) for target in sheet.targets.values()),
        ]
        arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=False)]
        yield pa.record_batch([*arrays, vectors], schema=schema)


def _labels(target: Target, rows: slice) -> list[Any]:
    """Names of classes; None for an unlabelled sample, a list where several are possible."""
    codes = target.codes[rows]
    if target.kind == "single":
        return [None if c == UNLABELLED else target.classes[c] for c in codes.tolist()]
    return [[n for n, on in zip(target.classes, row, strict=True) if on] for row in codes.tolist()]
