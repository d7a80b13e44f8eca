"""Where the curves of two features cross."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.label_curve import LabelCurve, between


@dataclass(frozen=True)
class Crossing:
    """The number of labels from which on one feature stays ahead of another.

    Attributes
    ----------
    n
        Where the mean curves cross last, linear in log(n) between sizes; NaN if they do not.
    low, high
        95 % bootstrap interval over draws, of the resampled pairs of curves that cross; NaN if
        none does, and with one draw.
    crossings
        How often the mean curves cross.
    share
        Of the resampled pairs, those that cross; NaN with one draw.
    gap
        b - a at the largest size.
    """

    n: float
    low: float
    high: float
    crossings: int
    share: float
    gap: float


def crossing(
    a: pd.DataFrame, b: pd.DataFrame, *, metric: str = "top1", n_boot: int = 2000, seed: int = 0
) -> Crossing:
    """Find where two curves cross.

    Parameters
    ----------
    a, b
        One row per size, draw and metric: n, draw, metric, value.  Equal draws are of the same
        rows; they are resampled together.
    metric
        Which one.
    n_boot, seed
        Resamples of the draws, and their seed.

    Raises
    ------
    InvalidInputError
        If a column or the metric is missing, or the curves share fewer than two sizes.

    Examples
    --------
    >>> frame = pd.DataFrame({"n": [100, 400], "draw": 0, "metric": "top1", "value": [0.4, 0.8]})
    >>> found = crossing(frame, frame.assign(value=[0.5, 0.7]))
    >>> round(found.n), found.crossings, round(found.gap, 2)
    (200, 1, -0.1)
    """
    difference = LabelCurve.of(b, metric) - LabelCurve.of(a, metric)
    last, count = _last_crossing(difference.sizes, difference.mean[None])
    gap = float(difference.mean[-1])
    resampled = difference.resampled(n_boot=n_boot, seed=seed)
    if n_boot < 1 or np.isnan(resampled).any():
        return Crossing(float(last[0]), np.nan, np.nan, int(count[0]), np.nan, gap)
    found, counts = _last_crossing(difference.sizes, resampled)
    crossed = found[counts > 0]
    low, high = np.quantile(crossed, (0.025, 0.975)) if len(crossed) else (np.nan, np.nan)
    share = len(crossed) / len(found)
    return Crossing(float(last[0]), float(low), float(high), int(count[0]), share, gap)


def _last_crossing(
    sizes: NDArray[np.float64], differences: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return where each difference, shape (b, s), last changes its sign, and how often it does."""
    last = np.full(len(differences), np.nan)
    count = np.zeros(len(differences), np.intp)
    for i, difference in enumerate(differences):
        # A tie is no change by itself: only the signs on its two sides tell.
        known = np.flatnonzero(difference)
        changes = np.flatnonzero(np.diff(np.sign(difference[known])))
        count[i] = len(changes)
        if len(changes):
            left, right = known[changes[-1]], known[changes[-1] + 1]
            start, stop = difference[left], difference[right]
            last[i] = (
                between(sizes[left], sizes[right], start / (start - stop))
                if right == left + 1
                else sizes[left + 1]
            )
    return last, count
