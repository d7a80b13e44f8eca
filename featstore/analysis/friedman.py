"""Friedman's test: whether several methods differ over several data sets at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, fdtrc
from scipy.stats import rankdata

from featstore.errors import InvalidInputError


@dataclass(frozen=True)
class Friedman:
    """Friedman's test and its correction.

    Attributes
    ----------
    mean_ranks
        Of the k methods, 1 for the best; equal values share their mean rank.
    chi2, p
        Friedman's statistic, corrected for ties, and its p by chi-squared with k - 1 degrees.
    f, p_f
        Iman and Davenport's F, less conservative, and its p; infinite and 0 where all data sets
        rank the methods alike.
    """

    mean_ranks: tuple[float, ...]
    chi2: float
    p: float
    f: float
    p_f: float


def friedman(values: NDArray[np.floating]) -> Friedman:
    """Test whether k methods do equally well on N data sets.

    Parameters
    ----------
    values
        Shape (N, k), more is better, without NaN.

    Raises
    ------
    InvalidInputError
        If there are fewer than two methods or data sets, or a value is missing.

    References
    ----------
    Friedman (1937), JASA 32; Conover (1999), Practical nonparametric statistics, 5.8, for ties;
    Iman & Davenport (1980), Communications in Statistics 9.

    Examples
    --------
    >>> found = friedman(np.array([[0.9, 0.8, 0.7], [0.6, 0.5, 0.4], [0.5, 0.7, 0.3]]))
    >>> print(tuple(round(rank, 2) for rank in found.mean_ranks), round(found.chi2, 3))
    (1.33, 1.67, 3.0) 4.667
    """
    if values.ndim != 2 or min(values.shape) < 2:
        raise InvalidInputError(
            f"ranks need at least two methods on two data sets, got a table of {values.shape}"
        )
    if np.isnan(values).any():
        raise InvalidInputError(f"{np.isnan(values).sum()} values are missing; ranks need them all")
    n, k = values.shape
    ranks = rankdata(-values, axis=1)
    spread = float((ranks**2).sum()) - n * k * (k + 1) ** 2 / 4  # 0: all methods tie everywhere
    between = float(((ranks.sum(axis=0) - n * (k + 1) / 2) ** 2).sum())
    if np.isclose(spread, 0):
        chi2, f = 0.0, 0.0
    else:
        chi2 = (k - 1) * between / spread
        rest = n * (k - 1) - chi2
        f = np.inf if np.isclose(rest, 0) else (n - 1) * chi2 / rest
    p_f = 0.0 if np.isinf(f) else float(fdtrc(k - 1, (k - 1) * (n - 1), f))
    return Friedman(
        mean_ranks=tuple(float(rank) for rank in ranks.mean(axis=0)),
        chi2=float(chi2),
        p=float(chdtrc(k - 1, chi2)),
        f=float(f),
        p_f=p_f,
    )
