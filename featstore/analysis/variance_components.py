"""Variance components of a balanced table: rows, columns, and what is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit
from scipy.stats import chi2, f

from featstore.errors import InvalidInputError


@dataclass(frozen=True)
class MeanSquares:
    """Analysis of variance of a table with one value per cell.

    Attributes
    ----------
    mean
        Of all values.
    rows, columns, residual
        Mean squares; NaN for a factor with one level, and for the residual where one of the two
        has one level: then what is left cannot be told from the other factor.
    n_rows, n_columns
        Levels of the factors.
    """

    mean: float
    rows: float
    columns: float
    residual: float
    n_rows: int
    n_columns: int

    @classmethod
    def of(cls, table: NDArray[np.floating]) -> MeanSquares:
        """Analyse a table, shape (rows, columns).

        Raises
        ------
        InvalidInputError
            If it has fewer than two cells, or a value is missing.

        Examples
        --------
        >>> MeanSquares.of(np.array([[1.0, 2.0], [3.0, 4.5]]))
        MeanSquares(mean=2.625, rows=5.0625, columns=1.5625, residual=0.0625, n_rows=2, n_columns=2)
        """
        if table.ndim != 2 or table.size < 2 or np.isnan(table).any():
            raise InvalidInputError(
                "components of variance need a whole table of at least two values, got shape "
                f"{table.shape} with {int(np.isnan(table).sum())} missing"
            )
        n, m = table.shape
        mean = float(table.mean())
        of_rows, of_columns = table.mean(axis=1), table.mean(axis=0)
        left = table - of_rows[:, None] - of_columns + mean
        nan = float("nan")
        return cls(
            mean=mean,
            rows=float(m * ((of_rows - mean) ** 2).sum() / (n - 1)) if n > 1 else nan,
            columns=float(n * ((of_columns - mean) ** 2).sum() / (m - 1)) if m > 1 else nan,
            residual=float((left**2).sum() / ((n - 1) * (m - 1))) if min(n, m) > 1 else nan,
            n_rows=n,
            n_columns=m,
        )

    @property
    def degrees(self) -> tuple[int, int, int]:
        """Degrees of freedom of rows, columns and residual."""
        return self.n_rows - 1, self.n_columns - 1, (self.n_rows - 1) * (self.n_columns - 1)


def component(
    larger: ArrayLike,
    smaller: ArrayLike,
    *,
    degrees: tuple[int, int],
    n: int,
    level: float = 0.95,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Estimate a variance as the difference of two mean squares over n, with an interval.

    Parameters
    ----------
    larger, smaller
        Mean square of the factor and of the residual; one common shape.
    degrees
        Their degrees of freedom.
    n
        Values per level of the factor.
    level
        Coverage.

    Returns
    -------
    variance, low, high
        By the method of moments, which REML equals where it is positive, and by the modified
        large-sample method of Ting et al.; none below 0.

    References
    ----------
    Ting, Burdick, Graybill, Jeyaratnam & Lu (1990), Journal of Statistical Computation and
    Simulation 35; Burdick & Graybill (1992), Confidence intervals on variance components, 3.3.

    Examples
    --------
    >>> variance, low, high = component(4.0, 1.0, degrees=(9, 81), n=10)
    >>> print(variance, low.round(3), high.round(3))
    0.3 0.084 1.232
    """
    a, b = np.asarray(larger, np.float64), np.asarray(smaller, np.float64)
    df1, df2 = degrees
    tail = (1 - level) / 2
    variance = (a - b) / n
    g1, g2 = (1 - df / chi2.isf(tail, df) for df in degrees)
    h1, h2 = (df / chi2.ppf(tail, df) - 1 for df in degrees)
    upper, lower = f.isf(tail, df1, df2), f.ppf(tail, df1, df2)
    g12 = ((upper - 1) ** 2 - (g1 * upper) ** 2 - h2**2) / upper
    h12 = ((1 - lower) ** 2 - (h1 * lower) ** 2 - g2**2) / lower
    below = (g1 * a) ** 2 + (h2 * b) ** 2 + g12 * a * b
    above = (h1 * a) ** 2 + (g2 * b) ** 2 + h12 * a * b
    low = variance - np.sqrt(np.maximum(below, 0)) / n
    high = variance + np.sqrt(np.maximum(above, 0)) / n
    return np.maximum(variance, 0), np.maximum(low, 0), np.maximum(high, 0)


def variance_interval(
    variance: ArrayLike, degrees: int, *, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Interval of a variance from a mean square of normal values, by chi-squared.

    Examples
    --------
    >>> low, high = variance_interval(1.0, 9)
    >>> print(low.round(3), high.round(3))
    0.473 3.333
    """
    tail = (1 - level) / 2
    squares = degrees * np.asarray(variance, np.float64)
    return squares / chi2.isf(tail, degrees), squares / chi2.ppf(tail, degrees)


def mean_interval(
    squares: MeanSquares, *, level: float = 0.95
) -> tuple[float, float, float, float]:
    """Interval of the mean over all seeds and draws there could be, and of one more value.

    With both factors random the variance of the mean is (rows + columns - residual) / (n m) in mean
    squares, with Satterthwaite's degrees of freedom; where that is below residual / (n m), which no
    variances explain, residual is taken.

    Parameters
    ----------
    squares
        Of a table.
    level
        Coverage.

    Returns
    -------
    low, high
        Of the mean.
    one_low, one_high
        Where one more value, of a new level of each factor, will lie.

    References
    ----------
    Satterthwaite (1946), An approximate distribution of estimates of variance components,
    Biometrics Bulletin 2.

    Examples
    --------
    >>> squares = MeanSquares.of(np.array([[0.7], [0.8], [0.9]]))
    >>> print(*(round(bound, 4) for bound in mean_interval(squares)))
    0.5516 1.0484 0.3032 1.2968
    """
    n, m = squares.n_rows, squares.n_columns
    if min(n, m) == 1:  # one factor: Student's interval, exactly
        rows = squares.rows if n > 1 else squares.columns
        of_mean, one, degrees = rows / max(n, m), rows, float(max(n, m) - 1)
    else:
        a, b, c = squares.rows, squares.columns, squares.residual
        of_mean = (a + b - c) / (n * m)
        one = max(a - c, 0) / m + max(b - c, 0) / n + c
        df_a, df_b, df_c = squares.degrees
        if of_mean < c / (n * m):
            of_mean, degrees = c / (n * m), float(df_c)
        else:
            parts = a**2 / df_a + b**2 / df_b + c**2 / df_c
            degrees = max((a + b - c) ** 2 / parts, 1.0) if parts > 0 else float(df_c)
    t = float(stdtrit(degrees, 0.5 + level / 2))
    half, half_one = t * np.sqrt(of_mean), t * np.sqrt(of_mean + one)
    return (
        squares.mean - float(half),
        squares.mean + float(half),
        squares.mean - float(half_one),
        squares.mean + float(half_one),
    )
