"""Rank correlations of difficulty between runs, and how high they could be."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.bootstrap import resamples, unit_weights
from featstore.intervals import percentile
from featstore.rank_correlation import rank_correlation

QUANTITIES = ("spearman", "reliability_a", "reliability_b", "ceiling", "without_noise")


def difficulty_correlations(
    values: NDArray[np.float64],
    halves: NDArray[np.float64],
    *,
    n_boot: int,
    seed: int,
    level: float,
) -> pd.DataFrame:
    """Correlate two runs over classes, beside each run with itself on other rows.

    Parameters
    ----------
    values
        Of the classes in both runs, on all rows, shape (2, m).
    halves
        The same on random halves of the rows, shape (n_splits, 2, 2, m): run, half; NaN where a
        class has no rows in a half.
    n_boot, seed, level
        Percentile bootstrap over classes.

    Returns
    -------
    correlations
        Columns quantity, value, low, high; see `featstore.analysis.difficulty.Difficulty`.

    Examples
    --------
    >>> values = np.array([[0.1, 0.5, 0.9], [0.2, 0.4, 0.8]])
    >>> halves = np.repeat(values[None, :, None], 2, axis=2)
    >>> found = difficulty_correlations(values, halves, n_boot=0, seed=0, level=0.95)
    >>> print(*found["value"].round(3))
    1.0 1.0 1.0 1.0 1.0
    """
    m = values.shape[1]
    whole = rank_correlation(*values)
    splits = []
    for (a1, a2), (b1, b2) in halves:
        # A class with one row has a value in one half only.
        both = np.flatnonzero(~np.isnan(np.stack([a1, a2, b1, b2])).any(axis=0))
        pairs = ((a1, a2), (b1, b2), (a1, b2), (b1, a2))
        splits.append((both, [rank_correlation(x[both], y[both]) for x, y in pairs]))

    def quantities(weights: NDArray[np.float32]) -> NDArray[np.float64]:
        found = []
        for both, pairs in splits:
            chosen = weights if len(both) == m else weights[both]
            found.append([pair(chosen)[0] for pair in pairs])
        # A half in which nothing varies says nothing.
        counted = ~np.isnan(found)
        sums = np.where(counted, found, 0).sum(axis=0)
        means = sums / np.where(counted.any(axis=0), counted.sum(axis=0), np.nan)  # (4, b)
        of_a, of_b, across = means[0], means[1], (means[2] + means[3]) / 2
        reliable = [2 * np.maximum(r, 0) / (1 + np.maximum(r, 0)) for r in (of_a, of_b)]
        scale = np.sqrt(np.maximum(of_a, 0) * np.maximum(of_b, 0))
        return np.stack(
            [
                whole(weights)[0],
                *reliable,
                np.sqrt(reliable[0] * reliable[1]),
                across / np.where(scale > 0, scale, np.nan),
            ]
        )

    value = quantities(unit_weights(m))[:, 0]
    blocks = [quantities(weights) for weights in resamples(m, n_boot=n_boot, seed=seed)]
    samples = np.concatenate([np.empty((len(value), 0)), *blocks], axis=1)
    low, high = percentile(samples, level=level)
    return pd.DataFrame({"quantity": QUANTITIES, "value": value, "low": low, "high": high})
