"""Confidence intervals: Wilson's for a share, percentiles for bootstrap samples, t for a mean."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featstore.errors import InvalidInputError


def wilson(
    successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson score interval of a binomial share, without continuity correction.

    Unlike the normal approximation it stays inside [0, 1] and does not collapse to a point at
    0 or all successes, which is where classes with ten test rows often are.

    Parameters
    ----------
    successes, trials
        Counts of one common shape.
    level
        Coverage, in (0, 1).

    Returns
    -------
    low, high
        Bounds, same shape; NaN where there were no trials.

    Raises
    ------
    InvalidInputError
        If `level` is outside (0, 1).

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.

    Examples
    --------
    >>> low, high = wilson(10, 10)
    >>> print(f"{low:.3f} {high:.3f}")
    0.722 1.000
    """
    _check_level(level)
    k, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    n = np.where(n > 0, n, np.nan)
    share = k / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At 0 or n successes the bound is exactly 0 or 1; rounding would leave 1e-17.
    low = np.where(k == 0, 0 * n, centre - half)
    high = np.where(k == n, 1 + 0 * n, centre + half)
    return low, high


def percentile(
    samples: NDArray[np.float64], *, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval of bootstrap samples.

    Parameters
    ----------
    samples
        Shape (m, n_boot): one row per statistic.  NaN marks a resample in which the statistic
        is undefined (e.g. a class without rows); it is left out.
    level
        Coverage, in (0, 1).

    Returns
    -------
    low, high
        Shape (m,); NaN for a statistic without a defined sample.

    Raises
    ------
    InvalidInputError
        If `level` is outside (0, 1).

    References
    ----------
    Efron & Tibshirani (1993), An introduction to the bootstrap, section 13.3.

    Examples
    --------
    >>> low, high = percentile(np.arange(101.0)[None], level=0.9)
    >>> print(low, high)
    [5.] [95.]
    """
    _check_level(level)
    tails = (0.5 - level / 2, 0.5 + level / 2)
    bounds = np.full((len(samples), 2), np.nan)
    undefined = np.isnan(samples)
    whole = ~undefined.any(axis=1)
    if samples.shape[1]:
        bounds[whole] = np.quantile(samples[whole], tails, axis=1).T
    for i in np.flatnonzero(~whole & ~undefined.all(axis=1)):
        bounds[i] = np.quantile(samples[i, ~undefined[i]], tails)
    return bounds[:, 0], bounds[:, 1]


def student_t(
    values: ArrayLike, *, level: float = 0.95, within: tuple[float, float] | None = None
) -> tuple[float, float, float]:
    """Mean of independent values with Student's t interval.

    Parameters
    ----------
    values
        Shape (m,).
    level
        Coverage, in (0, 1).
    within
        The range that values, and so their mean, cannot leave: (0, 1) for shares.  The interval is
        cut to it.  What is cut off holds no possible mean, so that the coverage stays what it is;
        with three values the uncut interval is 2.5 standard deviations wide on each side.

    Returns
    -------
    mean, low, high
        The bounds are NaN for fewer than two values.

    Raises
    ------
    InvalidInputError
        If `level` is outside (0, 1), there are no values, or one of them is not `within`.

    References
    ----------
    Student (1908), The probable error of a mean, Biometrika 6.

    Examples
    --------
    >>> print(*(round(bound, 4) for bound in student_t([0.7, 0.8, 0.9])))
    0.8 0.5516 1.0484
    >>> print(*(round(bound, 4) for bound in student_t([0.7, 0.8, 0.9], within=(0, 1))))
    0.8 0.5516 1.0
    """
    from scipy.special import stdtrit

    _check_level(level)
    sample = np.asarray(values, np.float64)
    if sample.size == 0:
        raise InvalidInputError("an interval of a mean needs at least one value")
    least, most = map(float, within or (-np.inf, np.inf))
    if sample.min() < least or sample.max() > most:
        raise InvalidInputError(
            f"values from {sample.min():g} to {sample.max():g} are not within {within}"
        )
    mean = float(sample.mean())
    if sample.size == 1:
        return mean, float("nan"), float("nan")
    half = stdtrit(sample.size - 1, 0.5 + level / 2) * sample.std(ddof=1) / np.sqrt(sample.size)
    return mean, max(mean - float(half), least), min(mean + float(half), most)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InvalidInputError(
            f"the level of an interval is its coverage, between 0 and 1, got {level}"
        )
