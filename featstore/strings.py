"""Strings as two plain arrays: UTF-8 bytes one after the other, and where each begins.

Zarr's own string types are slow or not readable everywhere; this is Arrow's layout, and any
reader of integers can read it (docs/format.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError


def pack(strings: NDArray[np.str_]) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
    """Return the UTF-8 bytes, shape (total,), and the offsets, shape (n + 1,).

    Examples
    --------
    >>> data, offsets = pack(np.array(["ab", "", "c"]))
    >>> bytes(data), offsets.tolist()
    (b'abc', [0, 2, 2, 3])
    """
    encoded = [text.encode() for text in strings.tolist()]
    offsets = np.zeros(len(encoded) + 1, np.uint64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def unpack(data: NDArray[np.uint8], offsets: NDArray[np.uint64]) -> NDArray[np.str_]:
    """Return the strings that `pack` packed, shape (n,).

    Raises
    ------
    InvalidInputError
        If the offsets do not divide the bytes, or these are not UTF-8.

    Examples
    --------
    >>> unpack(*pack(np.array(["ab", "", "c"]))).tolist()
    ['ab', '', 'c']
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    n = len(offsets) - 1
    if n < 0 or offsets[0] != 0 or offsets[-1] != len(data):
        raise InvalidInputError(
            f"{len(offsets)} offsets do not divide {len(data)} bytes into strings: the first must "
            "be 0 and the last the number of bytes"
        )
    if n == 0:
        return np.empty(0, "<U1")
    data, offsets = np.ascontiguousarray(data), np.ascontiguousarray(offsets)
    strings = pa.LargeStringArray.from_buffers(
        n, pa.py_buffer(offsets.view(np.int64)), pa.py_buffer(data)
    )
    try:
        strings.validate(full=True)
    except pa.ArrowInvalid as error:
        raise InvalidInputError(f"the bytes are no strings in UTF-8: {error}") from error
    # NumPy's strings have one width; padded to it by Arrow they only need wider characters, which
    # is several times faster than a Python string for each.
    width = max(pc.max(pc.utf8_length(strings)).as_py() or 0, 1)
    padded = np.frombuffer(pc.utf8_rpad(strings, width, padding="\0").buffers()[2], np.uint8)
    if len(padded) == n * width:
        characters = padded.astype("<u4")
    else:
        characters = np.frombuffer(padded.tobytes().decode().encode("utf-32-le"), "<u4")
    return characters.view(f"<U{width}")
