"""Few-shot curve: accuracy against training rows per class, with bands over draws."""

from __future__ import annotations

from matplotlib.axes import Axes

from featstore.plots.bands import Results, bands


def few_shot(results: Results, *, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the mean over draws against the number of shots, its interval as a band.

    Parameters
    ----------
    results
        Of `featstore.few_shot`, one or several, or their summaries below each other: a line for
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
    >>> frame = pd.DataFrame({"feature": "resnet50", "probe": "logistic", "shots": [1, 16],
    ...                       "metric": "top1", "mean": [0.4, 0.7], "low": [0.35, 0.69],
    ...                       "high": [0.45, 0.71]})
    >>> [label.get_text() for label in few_shot(frame).get_xticklabels()]
    ['1', '16']
    """
    return bands(
        results,
        "shots",
        metric=metric,
        label="training images per class",
        name="{:g}".format,
        ax=ax,
    )
