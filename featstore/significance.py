"""Significance of a difference between two runs on the same rows, for one or many classes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr

from featstore.errors import InvalidInputError

McNemarTest = Literal["exact", "mid-p"]
Adjustment = Literal["holm", "bh"]
"""For many tests: Holm's control of any error, or Benjamini and Hochberg's of their share."""


def mcnemar(
    only_a: ArrayLike, only_b: ArrayLike, *, test: McNemarTest = "exact"
) -> NDArray[np.float64]:
    """Two-sided McNemar test that two runs are right equally often.

    Only rows on which exactly one of them is right count; under the hypothesis each is a fair
    coin.

    Parameters
    ----------
    only_a, only_b
        Rows that only the one and only the other has right; counts of one common shape.
    test
        ``"exact"``: binomial, never above its nominal error rate, conservative for few rows.
        ``"mid-p"``: counts half of the observed outcome's probability; closer to nominal.

    Returns
    -------
    p
        Same shape; 1 where no row tells the runs apart.

    Raises
    ------
    InvalidInputError
        If a count is negative.

    References
    ----------
    Fagerland, Lydersen & Laake (2013), The McNemar test for binary matched-pairs data, BMC
    Medical Research Methodology 13:91.

    Examples
    --------
    >>> print(mcnemar(1, 9).round(4), mcnemar(1, 9, test="mid-p").round(4))
    0.0215 0.0117
    """
    a, b = np.asarray(only_a, np.int64), np.asarray(only_b, np.int64)
    if (a < 0).any() or (b < 0).any():
        raise InvalidInputError(f"numbers of rows cannot be negative, got {a} and {b}")
    fewer, n = np.minimum(a, b), a + b
    up_to = bdtr(fewer, n, 0.5)
    below = np.where(fewer > 0, bdtr(np.maximum(fewer - 1, 0), n, 0.5), 0.0)
    if test == "exact":
        p = np.minimum(2 * up_to, 1)
    else:
        # Both tails less half of the observed point, which the tie a = b has only once.
        p = np.where(a == b, 1 - (up_to - below) / 2, up_to + below)
    return np.where(n > 0, p, 1.0)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust p-values so that rejecting q <= alpha errs anywhere with probability alpha at most.

    Parameters
    ----------
    p
        Shape (m,); NaN marks a hypothesis that was not tested, and is not counted.

    Returns
    -------
    q
        Shape (m,): largest (m + 1 - rank) p over the p-values at most as large; NaN stays NaN.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 6.

    Examples
    --------
    >>> print(holm(np.array([0.01, 0.04, 0.03, np.nan])))
    [0.03 0.06 0.06 nan]
    """
    q = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    scaled = p[order] * np.arange(len(order), 0, -1)
    q[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return q


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust p-values so that rejecting q <= alpha keeps the false discovery rate at alpha.

    Parameters
    ----------
    p
        Shape (m,); NaN marks a hypothesis that was not tested, and is not counted.

    Returns
    -------
    q
        Shape (m,): smallest m p / rank over the p-values at least as large; NaN stays NaN.

    References
    ----------
    Benjamini & Hochberg (1995), Controlling the false discovery rate, JRSS B 57.

    Examples
    --------
    >>> print(benjamini_hochberg(np.array([0.01, 0.04, 0.03, np.nan])))
    [0.03 0.04 0.04 nan]
    """
    q = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    return q


def adjusted(p: NDArray[np.float64], adjustment: Adjustment) -> NDArray[np.float64]:
    """Adjust p-values for their number, by `holm` or by `benjamini_hochberg`.

    Raises
    ------
    InvalidInputError
        If there is no such adjustment.

    Examples
    --------
    >>> print(adjusted(np.array([0.01, 0.04]), "bh"))
    [0.02 0.04]
    """
    ways = {"holm": holm, "bh": benjamini_hochberg}
    if adjustment not in ways:
        raise InvalidInputError(
            f"p-values are adjusted by holm or bh (Benjamini-Hochberg), got {adjustment!r}"
        )
    return ways[adjustment](p)
