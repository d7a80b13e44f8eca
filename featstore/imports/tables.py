"""Tables: Parquet and Arrow files with one column of vectors, as embedding-reader reads them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.exchange import KEY, parsed
from featstore.imports.exported import exported_targets
from featstore.imports.files import readable
from featstore.imports.source import Column, Source, chosen_key
from featstore.imports.values import (
    MappedValues,
    NoRowsError,
    StackedValues,
    StreamedValues,
    Values,
)

_PRECISION = {"halffloat": "float16", "float": "float32", "double": "float64"}
_BLOCK_BYTES = 8 << 20
_BUFFER_BYTES = 1 << 20


def read_parquet(path: Path, key: str | None) -> Source:
    """Read a Parquet file; its vectors are streamed a few megabytes at a time."""
    import pyarrow.parquet as pq

    with readable(path, "a Parquet file"), pq.ParquetFile(path) as file:
        schema, n = file.schema_arrow, file.metadata.num_rows
        key = _vector_column(schema, key, path)
        if not n:
            raise NoRowsError(f"{path} has no rows")
        dim = schema.field(key).type
        length = getattr(dim, "list_size", 0) or _first_length(file, key, path)
    precision = _PRECISION[str(schema.field(key).type.value_type)]
    values = StreamedValues((n, length), precision, partial(_blocks, path, key, length))
    return _source(path, "Parquet file", schema, key, values, partial(_parquet_column, path))


def read_arrow(path: Path, key: str | None) -> Source:
    """Read an Arrow IPC file or stream, mapped: also the ``data-*.arrow`` of Hugging Face."""
    table = _mapped_table(path)
    key = _vector_column(table.schema, key, path)
    chunks = [chunk for chunk in table.column(key).chunks if len(chunk)]
    if not chunks:
        raise NoRowsError(f"{path} has no rows")
    parts: list[Values] = [MappedValues(_matrix(chunk, key, path)) for chunk in chunks]
    return _source(
        path, "Arrow file", table.schema, key, StackedValues(parts), partial(_arrow_column, path)
    )


def _source(path: Path, layout: str, schema: Any, key: str, values: Values, read: Any) -> Source:
    columns: dict[str, Column] = {name: partial(read, name) for name in schema.names if name != key}
    targets = exported_targets(parsed((schema.metadata or {}).get(KEY.encode())), columns)
    return Source(values, layout, columns, targets=targets)


def _vector_column(schema: Any, key: str | None, path: Path) -> str:
    """Choose the column of vectors."""
    import pyarrow as pa

    arrays = {
        field.name: (
            (-1, -1) if _is_vector(field.type, pa) else (-1,),
            _PRECISION.get(str(getattr(field.type, "value_type", field.type)), str(field.type)),
        )
        for field in schema
    }
    key = chosen_key(arrays, key, path)
    shape, precision = arrays[key]
    if len(shape) != 2 or precision not in _PRECISION.values():
        raise InvalidInputError(
            f"column {key!r} of {path} is {schema.field(key).type}; features are a column of lists "
            "of floats, one list per image (--key)"
        )
    return key


def _is_vector(kind: Any, pa: Any) -> bool:
    return bool(
        pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)
    )


def _first_length(file: Any, key: str, path: Path) -> int:
    first = next(file.iter_batches(batch_size=1, columns=[key]))
    return int(_matrix(first.column(0), key, path).shape[1])


def _blocks(path: Path, key: str, dim: int) -> Iterator[NDArray[Any]]:
    import pyarrow.parquet as pq

    rows = max(_BLOCK_BYTES // (8 * dim), 1)
    # Through a small buffer; otherwise a whole row group, as a rule the whole file, is in memory.
    options = {"buffer_size": _BUFFER_BYTES, "pre_buffer": False}
    with readable(path, "a Parquet file"), pq.ParquetFile(path, **options) as file:
        for batch in file.iter_batches(batch_size=rows, columns=[key]):
            block = _matrix(batch.column(0), key, path)
            if block.shape[1] != dim:
                raise _uneven(path, key, dim, block.shape[1])
            yield block


def _matrix(array: Any, key: str, path: Path) -> NDArray[Any]:
    """View a list array as a matrix, shape (n, dim), without a copy."""
    flat = array.flatten()
    if array.null_count or flat.null_count:
        raise InvalidInputError(
            f"column {key!r} of {path} has rows without a vector, or vectors with missing numbers; "
            "drop these rows first"
        )
    dim = len(flat) // len(array)
    if not hasattr(array.type, "list_size"):
        lengths = np.diff(np.asarray(array.offsets))
        if (lengths != dim).any():
            raise _uneven(path, key, int(lengths.max()), int(lengths.min()))
    return np.asarray(flat.to_numpy(zero_copy_only=True)).reshape(len(array), dim)


def _uneven(path: Path, key: str, one: int, other: int) -> InvalidInputError:
    return InvalidInputError(
        f"column {key!r} of {path} holds vectors of different length, e.g. {one} and {other}"
    )


def _parquet_column(path: Path, name: str) -> list[Any]:
    import pyarrow.parquet as pq

    with readable(path, "a Parquet file"):
        return list(pq.read_table(path, columns=[name]).column(0).to_pylist())


def _arrow_column(path: Path, name: str) -> list[Any]:
    with readable(path, "an Arrow file"):
        return list(_mapped_table(path).column(name).to_pylist())


def _mapped_table(path: Path) -> Any:
    import pyarrow as pa

    with readable(path, "an Arrow file"):
        source = pa.memory_map(str(path))
        try:
            return pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            return pa.ipc.open_stream(source).read_all()
