"""How many labels a feature needs to reach a level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.label_curve import LabelCurve, between


@dataclass(frozen=True)
class LabelsNeeded:
    """The number of labels at which a curve first reaches a level.

    Attributes
    ----------
    level
        Of the metric.
    n
        On the mean curve: linear in log(n) between sizes.  The smallest size where that reaches
        the level already, infinity where no size does.
    low, high
        95 % bootstrap interval over draws, of the same kind: the smallest size as a lower bound
        says "at most that", infinity as an upper one "maybe never".  NaN with one draw.
    reached
        Share of the resampled curves that reach the level; NaN with one draw.
    """

    level: float
    n: float
    low: float
    high: float
    reached: float


def labels_needed(
    values: pd.DataFrame, level: float, *, metric: str = "top1", n_boot: int = 2000, seed: int = 0
) -> LabelsNeeded:
    """Find the number of labels at which the mean over draws reaches a level.

    Parameters
    ----------
    values
        One row per size, draw and metric: n, draw, metric, value.
    level
        Value of the metric to reach, e.g. what another feature reaches with all labels.
    metric
        Which one.
    n_boot, seed
        Resamples of the draws, and their seed.

    Raises
    ------
    InvalidInputError
        If a column or the metric is missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"n": [100, 400], "draw": 0, "metric": "top1", "value": [0.4, 0.8]})
    >>> round(labels_needed(frame, 0.6).n), labels_needed(frame, 0.9).n
    (200, inf)
    """
    curve = LabelCurve.of(values, metric)
    n = float(_first_reaching(curve.sizes, curve.mean[None], level)[0])
    resampled = curve.resampled(n_boot=n_boot, seed=seed)
    if n_boot < 1 or np.isnan(resampled).any():
        return LabelsNeeded(level, n, np.nan, np.nan, np.nan)
    found = _first_reaching(curve.sizes, resampled, level)
    # Order statistics: between a number and infinity there is nothing to interpolate.
    low = float(np.quantile(found, 0.025, method="lower"))
    high = float(np.quantile(found, 0.975, method="higher"))
    return LabelsNeeded(level, n, low, high, float(np.isfinite(found).mean()))


def _first_reaching(
    sizes: NDArray[np.float64], curves: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Return where each curve, shape (b, s), first is at the level; shape (b,)."""
    above = curves >= level
    first = above.argmax(axis=1)
    found = np.where(above.any(axis=1), sizes[first], np.inf)
    inner = np.flatnonzero(above.any(axis=1) & (first > 0))
    after = first[inner]
    start, stop = curves[inner, after - 1], curves[inner, after]
    found[inner] = between(sizes[after - 1], sizes[after], (level - start) / (stop - start))
    return found
