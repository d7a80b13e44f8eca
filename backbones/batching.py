"""Batching: batches of any length as micro-batches of one fixed size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError


def check_pixels(pixels: NDArray[np.uint8], *, size: int) -> None:
    """Refuse anything but uint8 RGB of shape (n, size, size, 3).

    Raises
    ------
    InvalidInputError
        Saying what was given.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3):
        raise InvalidInputError(
            f"pixels must be uint8 of shape (n, {size}, {size}, 3), "
            f"got {pixels.dtype} of shape {pixels.shape}"
        )


def micro_batches(
    pixels: NDArray[np.uint8], *, size: int
) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """Split a batch into equal parts, the last one filled up with zeros.

    Kernels round differently for different batch sizes; with one size, the features of an image
    do not depend on the batch it came in.

    Yields
    ------
    rows, part
        Which rows of `pixels`, and their copy of shape (size, ...); valid until the next one.

    Examples
    --------
    >>> images = np.arange(3, dtype=np.uint8)
    >>> [(rows.start, rows.stop, part.tolist()) for rows, part in micro_batches(images, size=2)]
    [(0, 2, [0, 1]), (2, 3, [2, 0])]
    """
    part = np.zeros((size, *pixels.shape[1:]), np.uint8)
    for start in range(0, len(pixels), size):
        rows = slice(start, min(start + size, len(pixels)))
        count = rows.stop - rows.start
        part[:count] = pixels[rows]
        part[count:] = 0
        yield rows, part
