"""Duplicate threshold: how near is nearer than different images come."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError

#: Shares of the distances that the fit goes through.
_QUARTILES = (0.25, 0.5, 0.75)
_LEAST_ROWS = 8


def suggested_threshold(
    similarities: NDArray[np.floating], *, n_queries: int, false_pairs: float = 0.05
) -> float:
    r"""Cosine that different images would hardly reach, from what nearest neighbours reach.

    A distance to the nearest of many rows is a minimum, and minima are Weibull-distributed:
    :math:`\log(-\log(1 - F(d)))` is a line in :math:`\log d`.  The line is drawn through the
    quartiles of d = 1 - cosine, which near-duplicates move little as long as they are few, and
    followed down to where `n_queries` rows are expected to have `false_pairs` neighbours.

    Parameters
    ----------
    similarities
        Of rows to their nearest other row in one split, shape (n,).
    n_queries
        Rows that are searched for.
    false_pairs
        Expected number of different images above the threshold.

    Returns
    -------
    threshold
        In [0, 1]; NaN for fewer than 8 rows, or where a quarter of them have copies: then the
        quartiles say nothing of different images.

    Raises
    ------
    InvalidInputError
        If there are no queries, or `false_pairs` is not between 0 and their number.

    References
    ----------
    Fisher & Tippett (1928), Limiting forms of the frequency distribution of the largest or smallest
    member of a sample, Math. Proc. Cambridge Philos. Soc. 24.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(500, 16))
    >>> X /= np.linalg.norm(X, axis=1, keepdims=True)
    >>> nearest = (X @ X.T - 2 * np.eye(500)).max(axis=1)
    >>> threshold = suggested_threshold(nearest, n_queries=500)
    >>> bool(nearest.max() < threshold < 1)
    True
    """
    if n_queries < 1 or not 0 < false_pairs < n_queries:
        raise InvalidInputError(
            f"{false_pairs:g} false pairs cannot be expected of {n_queries} rows: give a number "
            "above 0 and below that of the rows"
        )
    distances = np.maximum(1 - np.asarray(similarities, np.float64), 0)
    if len(distances) < _LEAST_ROWS:
        return math.nan
    quartiles = np.quantile(distances, _QUARTILES)
    # Copies of the same bytes have distance 0, but for float32.
    if quartiles[0] <= 1e-5 or quartiles[0] == quartiles[2]:
        return math.nan
    x = np.log(quartiles)
    y = np.log(-np.log1p(-np.asarray(_QUARTILES)))
    slope = (y[2] - y[0]) / (x[2] - x[0])
    wanted = math.log(-math.log1p(-false_pairs / n_queries))
    return float(np.clip(1 - math.exp(x[1] + (wanted - y[1]) / slope), 0, 1))
