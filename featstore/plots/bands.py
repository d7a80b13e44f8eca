"""Bands: lines of means against an amount, on a logarithmic axis, with intervals around them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from featstore.errors import InvalidInputError
from featstore.metric_names import axis_name
from featstore.plots.canvas import axes, grid, label_x, legend_above, look, percent, points
from featstore.result_document import FramedResult, summary_of

Results = pd.DataFrame | FramedResult | Sequence[FramedResult]
"""One result of several draws, several results, or their summaries below each other."""

_COLUMNS = ("feature", "probe", "metric", "mean", "low", "high")


def bands(
    results: Results,
    x: str,
    *,
    metric: str | None,
    label: str,
    name: Callable[[int], str],
    ax: Axes | None,
) -> Axes:
    """Draw a line for every feature and probe, its interval as a band.

    Parameters
    ----------
    results
        With summaries, or such: columns feature, probe, metric, mean, low, high, and `x`.
    x
        The column of amounts.
    metric
        Which one to draw; the first of the results by default.
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
    summary = summary_of(results)
    if missing := [column for column in (x, *_COLUMNS) if column not in summary]:
        raise InvalidInputError(f"no column {missing[0]!r}; the frame has {list(summary.columns)}")
    metric = metric or str(summary["metric"].iloc[0] if len(summary) else "")
    drawn = summary[summary["metric"] == metric]
    if drawn.empty:
        known = ", ".join(map(str, summary["metric"].unique()))
        raise InvalidInputError(f"no metric {metric!r} to draw; the frame has: {known or 'none'}")
    several_probes = drawn["probe"].nunique() > 1
    lines = {
        f"{feature}, {probe}" if several_probes else str(feature): line.sort_values(x)
        for (feature, probe), line in drawn.groupby(["feature", "probe"], sort=False)
    }
    ax = axes(ax, width=5.6, height=3.4, legend=list(lines))
    grid(ax, "y")
    ax.set_xscale("log", base=2)
    for i, (title, line) in enumerate(lines.items()):
        drawing = look(i)
        bounded = line.dropna(subset=["low", "high"])
        ax.fill_between(
            bounded[x],
            bounded["low"],
            bounded["high"],
            color=drawing["color"],
            alpha=0.2,
            linewidth=0,
        )
        ax.plot(
            line[x],
            line["mean"],
            markersize=points(5),
            linewidth=points(1.5),
            label=title,
            **drawing,
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
    ax.set_ylabel(axis_name(metric))
    label_x(ax, label)
    legend_above(ax)
    return ax
