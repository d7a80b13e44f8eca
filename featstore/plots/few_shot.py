"""Few-shot curve: accuracy against training rows per class, with bands over draws."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from featstore.plots.bands import bands


def few_shot(summary: pd.DataFrame, *, metric: str = "top1", ax: Axes | None = None) -> Axes:
    """Draw the mean over draws against the number of shots, its interval as a band.

    Parameters
    ----------
    summary
        Of `featstore.few_shot`, or of several results below each other
        (`featstore.result_document.joined`): a line for every feature and probe.
    metric
        Which one to draw.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If a column is missing, or the metric is not there.

    Examples
    --------
    >>> frame = pd.DataFrame({"feature": "resnet50", "probe": "logistic", "shots": [1, 16],
    ...                       "metric": "top1", "mean": [0.4, 0.7], "low": [0.35, 0.69],
    ...                       "high": [0.45, 0.71]})
    >>> [label.get_text() for label in few_shot(frame).get_xticklabels()]
    ['1', '16']
    """
    return bands(
        summary,
        "shots",
        metric=metric,
        label="training images per class",
        name="{:g}".format,
        ax=ax,
    )
