"""Strings as two plain arrays: UTF-8 bytes one after the other, and where each begins.

Zarr's own string types are slow or not readable everywhere; this is Arrow's layout, and any
reader of integers can read it (docs/format.md).
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray


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
    """Return the strings that `pack` packed, shape (n,)."""
    raw = data.tobytes()
    return np.asarray([raw[a:b].decode() for a, b in itertools.pairwise(offsets.tolist())], str)
