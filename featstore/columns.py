"""Columns: arrays that are plain enough to be read with nothing but NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_CHUNK_ROWS = 1 << 20
_CHUNK_BYTES = 64 << 20


def write_column(group: Any, name: str, values: NDArray[Any], **attributes: Any) -> None:
    """Write an array into a Zarr group: little-endian numbers, uncompressed, every chunk a file.

    One chunk holds a small array; large ones have chunks of about a million rows, or of 64 MiB
    where a row is a line of a matrix.
    """
    row_bytes = max(values[:1].nbytes, 1)
    rows = max(min(len(values), _CHUNK_ROWS, _CHUNK_BYTES // row_bytes), 1)
    group.create_array(
        name,
        data=values.astype(values.dtype.newbyteorder("<"), copy=False),
        chunks=(rows, *(max(length, 1) for length in values.shape[1:])),
        compressors=None,
        attributes=attributes,
        # A chunk that holds nothing but zeros is left out by default, and then looks like one
        # that was lost.
        config={"write_empty_chunks": True},
    )


def read_columns(group: Any, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read those of the named arrays that the group has.

    They are asked for by name: some places cannot be listed, and zarr-python warns of every file
    in a group's folder that is not its own.
    """
    return {name: np.asarray(group[name][:]) for name in names if name in group}
