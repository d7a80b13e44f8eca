"""Quantity curve: accuracy against the number of training labels (Fig. 2, 3), with bands."""

from __future__ import annotations

from matplotlib.axes import Axes

from featstore.counts import count_name
from featstore.plots.bands import Results, bands


def quantity(results: Results, *, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the mean over draws against the number of labels, its interval as a band.

    Parameters
    ----------
    results
        Of `featstore.quantity`, one or several, or their summaries below each other: a line for
        every feature and probe.
    metric
        Which one to draw; the first of the results by default.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If a column is missing, or the metric is not there.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"feature": "resnet50", "probe": "logistic", "n": [500, 50_000],
    ...                       "metric": "top1", "mean": [0.4, 0.7], "low": [0.35, 0.69],
    ...                       "high": [0.45, 0.71]})
    >>> [label.get_text() for label in quantity(frame).get_xticklabels()]
    ['500', '50k']
    """
    return bands(results, "n", metric=metric, label="training labels", name=count_name, ax=ax)
