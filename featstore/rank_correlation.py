"""Spearman's rank correlation under many weightings of the same pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from featstore.bootstrap import Statistic
from featstore.errors import InvalidInputError


def rank_correlation(x: ArrayLike, y: ArrayLike) -> Statistic:
    """Prepare Spearman's correlation of pairs that may count several times or not at all.

    Ranks are those of the weighted sample, equal values sharing their mean rank, so that integer
    weights give what repeated pairs would.  Pairs are counted in a table of distinct values first:
    the accuracies of 10,000 classes with ten rows each have eleven.

    Parameters
    ----------
    x, y
        Shape (m,), without NaN.

    Returns
    -------
    correlation
        Weights (m, b) to values (1, b); NaN where x or y does not vary.

    Raises
    ------
    InvalidInputError
        If the shapes differ, or a value is NaN.

    References
    ----------
    Spearman (1904), The proof and measurement of association between two things, American Journal
    of Psychology 15.

    Examples
    --------
    >>> correlation = rank_correlation([1, 2, 3, 4], [1, 3, 2, 4])
    >>> print(correlation(np.array([[1, 1], [1, 1], [1, 0], [1, 1]], np.float32)))
    [[0.8 1. ]]
    """
    first, second = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise InvalidInputError(f"pairs need as many x as y, got {first.shape} and {second.shape}")
    if np.isnan(first).any() or np.isnan(second).any():
        raise InvalidInputError("NaN has no rank; leave out what is undefined")
    codes = [np.unique(values, return_inverse=True)[1] for values in (first, second)]
    width = int(codes[1].max(initial=0)) + 1
    cells, cell_of = np.unique(codes[0] * width + codes[1], return_inverse=True)
    count = _counting(cell_of, len(cells))
    axes = [(of, _counting(of, int(of.max(initial=0)) + 1)) for of in np.divmod(cells, width)]

    def correlation(weights: NDArray[np.float32]) -> NDArray[np.float64]:
        joint = np.asarray(count @ weights, np.float64)  # (cells, b)
        total = joint.sum(axis=0)
        # Ranks less their mean (total + 1) / 2: the weight below a value and half of its own.
        ranks = []
        for of, counting in axes:
            margin = counting @ joint
            ranks.append((margin.cumsum(axis=0) - (margin + total) / 2)[of])
        a, b = ranks
        spread = np.sqrt((joint * a * a).sum(axis=0) * (joint * b * b).sum(axis=0))
        return np.asarray((joint * a * b).sum(axis=0) / np.where(spread > 0, spread, np.nan))[None]

    return correlation


def _counting(codes: NDArray[np.intp], n_codes: int) -> csr_array:
    """Matrix that adds up what has the same code, shape (codes, m)."""
    places = (codes, np.arange(len(codes)))
    return csr_array((np.ones(len(codes), np.float32), places), shape=(n_codes, len(codes)))
