"""Batching: batches of any length as micro-batches of one fixed size."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.micro_batch import MicroBatch


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


def in_micro_batches(
    compute: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    pixels: NDArray[np.uint8],
    *,
    micro_batch: MicroBatch,
    dim: int,
    threads: int,
) -> NDArray[np.float32]:
    """Compute a batch as equal parts, the last one filled up with zeros, several at a time.

    Kernels round differently for different batch sizes; with one size, the features of an image
    do not depend on the batch it came in.  Parts side by side, each on one thread, beat one
    part on several threads: nothing waits for the slowest, least of all on busy cores.

    Parameters
    ----------
    compute
        From images to features, shape (size, dim); called from several threads.
    pixels
        Images, shape (n, ...).
    micro_batch
        Images per part; fewer where memory does not suffice.
    dim
        Length of a feature.
    threads
        Parts at a time.

    Returns
    -------
    features
        Shape (n, dim).

    Raises
    ------
    OutOfMemoryError
        If memory does not suffice for the smallest part.

    Examples
    --------
    >>> images, two = np.arange(3, dtype=np.uint8)[:, None], MicroBatch(2)
    >>> in_micro_batches(lambda part: part / 2, images, micro_batch=two, dim=1, threads=1).ravel()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return micro_batch.run(
        lambda size: _in_parts(compute, pixels, size=size, dim=dim, threads=threads)
    )


def _in_parts(
    compute: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    pixels: NDArray[np.uint8],
    *,
    size: int,
    dim: int,
    threads: int,
) -> NDArray[np.float32]:
    features = np.empty((len(pixels), dim), np.float32)

    def part(start: int) -> None:
        images = pixels[start : start + size]
        count = len(images)
        if count < size:
            images = np.concatenate([images, np.zeros((size - count, *images.shape[1:]), np.uint8)])
        features[start : start + count] = compute(images)[:count]

    starts = range(0, len(pixels), size)
    if threads == 1 or len(starts) == 1:
        for start in starts:
            part(start)
    else:
        with ThreadPoolExecutor(threads, thread_name_prefix="encode") as pool:
            list(pool.map(part, starts))
    return features
