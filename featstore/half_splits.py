"""Random halves of the test rows, class by class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def half_splits(
    strata: NDArray[np.integer], *, n_splits: int, seed: int
) -> Iterator[NDArray[np.bool_]]:
    """Divide the rows of each stratum into halves at random.

    Parameters
    ----------
    strata
        What is halved by itself: e.g. the class of each row, shape (n,), codes >= 0.
    n_splits
        How many times.
    seed
        Of the random generator.

    Yields
    ------
    first
        Shape (n,): whether the row is in the first half.  Of an odd number of rows either half may
        get the larger part.

    Examples
    --------
    >>> (first,) = half_splits(np.array([0, 0, 0, 0, 1, 1]), n_splits=1, seed=0)
    >>> first[:4].sum(), first[4:].sum()
    (np.int64(2), np.int64(1))
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(strata, kind="stable")
    sizes = np.bincount(strata)
    starts = np.cumsum(sizes) - sizes
    place = np.arange(len(strata)) - np.repeat(starts, sizes)
    base = np.repeat(np.arange(len(sizes)), sizes).astype(np.float64)
    for _ in range(n_splits):
        # Sorting code + u, u in [0, 1), shuffles within the strata.
        shuffled = order[np.argsort(base + rng.random(len(strata)))]
        half = (sizes + rng.integers(2, size=len(sizes))) // 2
        first = np.empty(len(strata), bool)
        first[shuffled] = place < np.repeat(half, sizes)
        yield first
