"""Batching: batches of any length as micro-batches of one fixed size."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.micro_batch import MicroBatch

#: Waits for features that are being computed, shape (n, dim).
Waiting = Callable[[], NDArray[np.float32]]


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

    def begin(part: NDArray[np.uint8]) -> Waiting:
        features = compute(part)
        return lambda: features

    wait = begin_in_micro_batches(begin, pixels, micro_batch=micro_batch, dim=dim, threads=threads)
    return wait()


def begin_in_micro_batches(
    begin: Callable[[NDArray[np.uint8]], Waiting],
    pixels: NDArray[np.uint8],
    *,
    micro_batch: MicroBatch,
    dim: int,
    threads: int,
) -> Waiting:
    """Begin to compute a batch as equal parts; see `in_micro_batches`.

    Parameters
    ----------
    begin
        Begins to compute a part, and returns what waits for its features.
    pixels, micro_batch, dim, threads
        As there; memory has to suffice for beginning.

    Returns
    -------
    wait
        Waits for the features of all parts, shape (n, dim).
    """
    return micro_batch.run(
        lambda size: _begin_parts(begin, pixels, size=size, dim=dim, threads=threads)
    )


def _begin_parts(
    begin: Callable[[NDArray[np.uint8]], Waiting],
    pixels: NDArray[np.uint8],
    *,
    size: int,
    dim: int,
    threads: int,
) -> Waiting:
    starts = range(0, len(pixels), size)

    def part(start: int) -> Waiting:
        images = pixels[start : start + size]
        missing = size - len(images)
        if missing:
            images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)])
        return begin(images)

    if threads == 1 or len(starts) == 1:
        parts = [part(start) for start in starts]
    else:
        with ThreadPoolExecutor(threads, thread_name_prefix="encode") as pool:
            parts = list(pool.map(part, starts))

    def wait() -> NDArray[np.float32]:
        features = np.empty((len(pixels), dim), np.float32)
        for start, wait_for_part in zip(starts, parts, strict=True):
            rows = features[start : start + size]
            rows[...] = wait_for_part()[: len(rows)]
        return features

    return wait
