"""Columns: which features a head sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError

Columns = slice | Sequence[int] | None


def column_numbers(columns: Columns, dim: int) -> NDArray[np.intp]:
    """Return the numbers of the columns, shape (p,).

    Parameters
    ----------
    columns
        A slice or numbers of columns; None for all.
    dim
        Columns there are.

    Raises
    ------
    InvalidInputError
        If there is none, or a number is out of range.

    Examples
    --------
    >>> column_numbers(slice(-2, None), 5)
    array([3, 4])
    """
    if columns is None or isinstance(columns, slice):
        numbers = np.arange(dim)[columns or slice(None)]
    else:
        numbers = np.asarray(columns)
        if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer):
            raise InvalidInputError(f"columns must be a slice or whole numbers, got {columns!r}")
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < dim:
            raise InvalidInputError(
                f"columns must lie in [0, {dim}), got {numbers.min()} to {numbers.max()}"
            )
    if not len(numbers):
        raise InvalidInputError(f"columns={columns!r} is none of the {dim} columns of X")
    return numbers.astype(np.intp)
