"""The bootstrap over test rows, as weights: how often each row was drawn.

A resample is a column of counts, and a metric that is a function of weighted sums over rows
becomes one sparse product for a whole block of resamples.  Two runs evaluated on the same columns
are paired by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError

Statistic = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""Row weights (n, b) to values (m, b): m statistics under each of b weightings."""

# 4 MiB of weights at a time: they stay in cache, and so do the cumulative sums of mAP.
_BLOCK_VALUES = 1 << 20


def unit_weights(n: int) -> NDArray[np.float32]:
    """Weights (n, 1) under which a statistic has its observed value."""
    return np.ones((n, 1), np.float32)


def resamples(n: int, *, n_boot: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Draw `n` rows with replacement, `n_boot` times.

    Parameters
    ----------
    n
        Number of rows.
    n_boot
        Number of resamples.
    seed
        Of the random generator; the draws do not depend on how they are blocked.

    Yields
    ------
    weights
        Shape (n, b): how often each row was drawn in each of the next b resamples.

    Raises
    ------
    InvalidInputError
        If there are no rows to draw from, or `n_boot` is negative.

    Examples
    --------
    >>> (weights,) = resamples(5, n_boot=3, seed=0)
    >>> print(weights.shape, weights.sum(axis=0))
    (5, 3) [5. 5. 5.]
    """
    _check_draws(n, n_boot)
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK_VALUES // n)
    for start in range(0, n_boot, block):
        weights = np.empty((n, min(block, n_boot - start)), np.float32)
        for column in weights.T:
            column[:] = np.bincount(rng.integers(n, size=n), minlength=n)
        yield weights


def bootstrap(
    statistic: Statistic, n: int, *, n_boot: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Evaluate statistics on the rows as they are, and on resamples of them.

    Parameters
    ----------
    statistic
        Row weights (n, b) to values (m, b).
    n
        Number of rows.
    n_boot, seed
        See `resamples`.

    Returns
    -------
    observed
        Shape (m,).
    samples
        Shape (m, n_boot).

    Raises
    ------
    InvalidInputError
        As `resamples`.

    Examples
    --------
    >>> hits = np.array([1, 1, 0, 1], np.float32)
    >>> observed, samples = bootstrap(lambda w: (hits @ w / w.sum(0))[None], 4, n_boot=9, seed=0)
    >>> print(observed, samples.shape)
    [0.75] (1, 9)
    """
    blocks = [statistic(weights) for weights in resamples(n, n_boot=n_boot, seed=seed)]
    observed = statistic(unit_weights(n))
    return observed[:, 0], np.concatenate([observed[:, :0], *blocks], axis=1)


def bootstrap_sums(
    table: NDArray[np.generic], *, n_boot: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add up columns of a table as they are, and in resamples of them.

    Equal columns need not be told apart: how often each kind is drawn is multinomial.  So the
    work does not grow with the rows where there are few kinds, e.g. one for each number of levels
    of a taxonomy at which a row may be right.

    Parameters
    ----------
    table
        Shape (m, n): m statistics of each of n rows, few of them different.
    n_boot, seed
        See `resamples`; the draws are others.

    Returns
    -------
    observed
        Sums over the rows, shape (m,).
    samples
        Sums over n rows drawn with replacement, shape (m, n_boot).

    Raises
    ------
    InvalidInputError
        As `resamples`.

    Examples
    --------
    >>> observed, samples = bootstrap_sums(np.array([[1, 0, 1], [1, 1, 1]]), n_boot=4, seed=0)
    >>> print(observed, samples[1])
    [2. 3.] [3. 3. 3. 3.]
    """
    n = table.shape[1]
    _check_draws(n, n_boot)
    kinds, counts = np.unique(table, axis=1, return_counts=True)  # (m, kinds)
    draws = np.random.default_rng(seed).multinomial(n, counts / n, size=n_boot)
    kinds = kinds.astype(np.float64)
    return kinds @ counts, kinds @ draws.T


def _check_draws(n: int, n_boot: int) -> None:
    if n < 1 or n_boot < 0:
        raise InvalidInputError(
            f"cannot draw {n_boot} resamples of {n} rows: at least one row is needed, and "
            "n_boot >= 0 (0 leaves the intervals out)"
        )
