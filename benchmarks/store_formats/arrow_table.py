"""A matrix as an Arrow column of fixed-size lists, without a copy where Arrow allows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def schema(X: NDArray[Any]) -> Any:
    """Schema of one column ``X`` that can hold the rows of a matrix, shape (n, d)."""
    return pa.schema([pa.field("X", pa.list_(pa.from_numpy_dtype(X.dtype), X.shape[1]))])


def record_batch(X: NDArray[Any]) -> Any:
    """Rows of a matrix as one record batch that shares its memory."""
    values = pa.array(X.reshape(-1))
    return pa.record_batch([pa.FixedSizeListArray.from_arrays(values, X.shape[1])], schema(X))


def matrix(column: Any) -> NDArray[Any]:
    """Rows of a column, shape (n, d), sharing its memory."""
    values: NDArray[Any] = column.flatten().to_numpy(zero_copy_only=True)
    return values.reshape(len(column), column.type.list_size)


def stacked(column: Any) -> NDArray[Any]:
    """Rows of a chunked column in a new array, shape (n, d)."""
    first = column.type.value_type.to_pandas_dtype()
    out = np.empty((len(column), column.type.list_size), first)
    start = 0
    for chunk in column.chunks:
        out[start : start + len(chunk)] = matrix(chunk)
        start += len(chunk)
    return out
