"""Bands: lines of means against an amount, on a logarithmic axis, with intervals around them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from featstore.errors import InvalidInputError
from featstore.plots.canvas import INK, MARKERS, PALETTE, axes, grid, percent

_COLUMNS = ("feature", "probe", "metric", "mean", "low", "high")


def bands(
    summary: pd.DataFrame,
    x: str,
    *,
    metric: str,
    label: str,
    name: Callable[[int], str],
    ax: Axes | None,
) -> Axes:
    """Draw a line for every feature and probe, its interval as a band.

    Parameters
    ----------
    summary
        Columns feature, probe, metric, mean, low, high, and `x`.
    x
        The column of amounts.
    metric
        Which one to draw.
    label, name
        Of the axis of amounts, and of each of them.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If a column is missing, or the metric is not there.

    Examples
    --------
    >>> frame = pd.DataFrame({"feature": "resnet50", "probe": "logistic", "n": [10, 100],
    ...                       "metric": "top1", "mean": [0.4, 0.7], "low": [0.3, 0.6],
    ...                       "high": [0.5, 0.8]})
    >>> ax = bands(frame, "n", metric="top1", label="labels", name=str, ax=None)
    >>> ax.get_xlabel(), ax.get_xscale()
    ('labels', 'log')
    """
    if missing := [column for column in (x, *_COLUMNS) if column not in summary]:
        raise InvalidInputError(f"no column {missing[0]!r}; the frame has {list(summary.columns)}")
    drawn = summary[summary["metric"] == metric]
    if drawn.empty:
        known = ", ".join(map(str, summary["metric"].unique()))
        raise InvalidInputError(f"no metric {metric!r} to draw; the frame has: {known or 'none'}")
    several_probes = drawn["probe"].nunique() > 1
    lines = list(drawn.groupby(["feature", "probe"], sort=False))
    ax = axes(ax, width=5.6, height=3.4 + 0.2 * len(lines))
    grid(ax, "y")
    ax.set_xscale("log", base=2)
    for i, ((feature, probe), line) in enumerate(lines):
        line = line.sort_values(x)
        colour = PALETTE[i % len(PALETTE)]
        title = f"{feature}, {probe}" if several_probes else str(feature)
        bounded = line.dropna(subset=["low", "high"])
        ax.fill_between(
            bounded[x], bounded["low"], bounded["high"], color=colour, alpha=0.2, linewidth=0
        )
        ax.plot(
            line[x],
            line["mean"],
            color=colour,
            marker=MARKERS[i % len(MARKERS)],
            markersize=5,
            label=title,
        )
    ticks = sorted(drawn[x].unique())
    ax.set_xticks(ticks, [name(tick) for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    if len(ticks) == 1:
        ax.set_xlim(ticks[0] / 2, ticks[0] * 2)
    values = drawn[["mean", "low", "high"]].to_numpy(float)
    lowest, highest = float(np.nanmin(values)), float(np.nanmax(values))
    ax.set_ylim(math.floor(20 * lowest) / 20 - 0.01, math.ceil(20 * highest) / 20 + 0.01)
    ax.yaxis.set_major_formatter(percent())
    ax.set_ylabel("top-1 accuracy" if metric == "top1" else metric.replace("_", " "))
    ax.set_xlabel(label)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=9, frameon=False, labelcolor=INK)
    return ax
