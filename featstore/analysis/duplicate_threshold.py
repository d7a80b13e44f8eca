"""Duplicate threshold: how near is nearer than different images come."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError

#: Where nothing better is known.
USUAL = 0.95
_LEAST_ROWS = 8


def suggested_threshold(
    similarities: NDArray[np.floating], *, n_queries: int, false_pairs: float = 1.0
) -> float:
    r"""Cosine that different images would hardly reach, from what nearest neighbours reach.

    Distances d = 1 - cosine to the nearest row differ by factors between dense and sparse regions,
    so their logarithm is taken to be normal.  Its median and its lower quartile, which copies move
    little as long as they are few, give mean and deviation, and the threshold is where `n_queries`
    rows are expected to have `false_pairs` neighbours by chance:

    .. math:: \log d = \log d_{50} - \frac{\log d_{50} - \log d_{25}}{0.674}
              \Phi^{-1}(1 - false / n)

    Parameters
    ----------
    similarities
        Of rows to their nearest other row in one split, shape (n,).
    n_queries
        Rows that are searched for.
    false_pairs
        Expected number of rows above the threshold without a copy.

    Returns
    -------
    threshold
        In [0, 1]; NaN for fewer than 8 rows, or where a quarter of them have copies: then the
        quartile says nothing of different images.

    Raises
    ------
    InvalidInputError
        If there are no queries, or `false_pairs` is not above 0.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(500, 16))
    >>> X /= np.linalg.norm(X, axis=1, keepdims=True)
    >>> nearest = (X @ X.T - 2 * np.eye(500)).max(axis=1)
    >>> threshold = suggested_threshold(nearest, n_queries=500)
    >>> bool((nearest >= threshold).sum() <= 5), bool(threshold < 0.95)
    (True, True)
    """
    if n_queries < 1 or not false_pairs > 0:
        raise InvalidInputError(
            f"{false_pairs:g} false pairs cannot be expected of {n_queries} rows: both are above 0"
        )
    distances = np.maximum(1 - np.asarray(similarities, np.float64), 0)
    if len(distances) < _LEAST_ROWS:
        return math.nan
    quartile, median = np.quantile(distances, (0.25, 0.5))
    # Copies of the same bytes have distance 0, but for float32.
    if quartile <= 1e-5 or quartile == median:
        return math.nan
    normal = NormalDist()
    deviation = math.log(median / quartile) / normal.inv_cdf(0.75)
    # Of so few rows that half would be false, the median is the limit.
    share = min(false_pairs / n_queries, 0.5)
    distance = median * math.exp(deviation * normal.inv_cdf(share))
    return float(np.clip(1 - distance, 0, 1))
