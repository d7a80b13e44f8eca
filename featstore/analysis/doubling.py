"""What doubling the labels gains."""

from __future__ import annotations

import numpy as np
import pandas as pd

from featstore.analysis.label_curve import LabelCurve
from featstore.intervals import student_t

_COLUMNS = ["n_from", "n_to", "gain", "low", "high"]


def doubling(values: pd.DataFrame, *, metric: str = "top1") -> pd.DataFrame:
    """Gain per doubling of the labels, between each two neighbouring sizes.

    From n to m labels it is (a(m) - a(n)) / log2(m / n).

    Parameters
    ----------
    values
        One row per size, draw and metric: n, draw, metric, value.
    metric
        Which one.

    Returns
    -------
    gains
        Columns n_from, n_to, gain, low, high: the mean over draws and its 95 % t interval, each
        draw compared with itself.  The bounds are NaN with one draw.

    Raises
    ------
    InvalidInputError
        If a column or the metric is missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"n": [10, 80], "draw": 0, "metric": "top1", "value": [0.3, 0.9]})
    >>> doubling(frame)[["n_from", "n_to", "gain"]].round(3).values.tolist()
    [[10.0, 80.0, 0.2]]
    """
    curve = LabelCurve.of(values, metric)
    steps = np.diff(curve.values, axis=0) / np.diff(np.log2(curve.sizes))[:, None]
    rows = []
    for i, gains in enumerate(steps):
        gain, low, high = student_t(gains)
        if not (curve.several[i] or curve.several[i + 1]):
            low = high = np.nan
        rows.append((int(curve.sizes[i]), int(curve.sizes[i + 1]), gain, low, high))
    return pd.DataFrame(rows, columns=_COLUMNS)
