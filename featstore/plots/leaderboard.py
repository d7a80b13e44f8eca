"""Leaderboard: one dot with its interval per run, the best on top."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from featstore.plots.canvas import BLUE, INK, axes, grid, name_rows, percent, text_width


def leaderboard(frame: pd.DataFrame, *, metric: str = "accuracy", ax: Axes | None = None) -> Axes:
    """Draw runs in the order of their value.

    Parameters
    ----------
    frame
        Columns name, value, low, high; one row per run; bounds may be NaN.
    metric
        Label of the axis of values.
    ax
        Axes to draw on; a new figure by default.

    Examples
    --------
    >>> frame = pd.DataFrame({"name": ["resnet50", "dinov2"], "value": [0.71, 0.84],
    ...                       "low": [0.69, 0.82], "high": [0.73, 0.86]})
    >>> [label.get_text() for label in leaderboard(frame).get_yticklabels()]
    ['dinov2', 'resnet50']
    """
    frame = frame.sort_values("value", ascending=False, kind="stable")
    names = [str(name) for name in frame["name"]]
    ax = axes(ax, width=4.8 + text_width(names), height=1.0 + 0.3 * len(frame))
    grid(ax, "x")
    rows = range(len(frame))
    ax.hlines(rows, frame["low"], frame["high"], color=BLUE, alpha=0.5, linewidth=3)
    ax.plot(frame["value"], rows, "o", color=BLUE, markersize=6)
    right = frame["high"].fillna(frame["value"])
    for row, x, value in zip(rows, right, frame["value"], strict=True):
        ax.annotate(
            f"{value:.1%}",
            (x, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=INK,
        )
    name_rows(ax, names)
    ax.margins(x=0.08)
    ax.xaxis.set_major_formatter(percent())
    ax.set_xlabel(metric)
    return ax
