"""Which rows of a matrix are finite, at the speed of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Signed and unsigned integers of a float's size, and the smallest bits of +Inf and -Inf: whatever
#: is finite is below the one as signed and below the other as unsigned integer.
_INTEGERS: dict[str, tuple[Any, Any, int, int]] = {
    "float16": (np.int16, np.uint16, 0x7C00, 0xFC00),
    "float32": (np.int32, np.uint32, 0x7F80_0000, 0xFF80_0000),
    "float64": (np.int64, np.uint64, 0x7FF0_0000_0000_0000, 0xFFF0_0000_0000_0000),
}
#: Values looked at together are to stay in the processor's cache.
_PIECE = 1 << 18


def all_finite(X: NDArray[Any]) -> bool:
    """Whether every value is finite.

    Parameters
    ----------
    X
        float16, float32 or float64; copied unless it is C-contiguous.

    Examples
    --------
    >>> all_finite(np.array([1, -2, 65504], np.float16)), all_finite(np.array([-np.inf], "f4"))
    (True, False)
    """
    signed, unsigned, positive, negative = _INTEGERS[X.dtype.name]
    flat = X.reshape(-1)
    # The largest of integers is found ten times faster than isfinite goes over half precision.
    return all(
        piece.view(signed).max() < positive and piece.view(unsigned).max() < negative
        for piece in (flat[start : start + _PIECE] for start in range(0, len(flat), _PIECE))
    )


def finite_rows(X: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether all values of a row are finite, for every row, shape (n,).

    Parameters
    ----------
    X
        Shape (n, d), float16, float32 or float64; copied unless it is C-contiguous.

    Examples
    --------
    >>> finite_rows(np.array([[1, 2], [np.inf, 0], [3, np.nan]], np.float16))
    array([ True, False, False])
    """
    if all_finite(X):
        return np.ones(len(X), bool)
    return np.asarray(np.isfinite(X).all(axis=1))
