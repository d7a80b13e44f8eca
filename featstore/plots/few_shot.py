"""Few-shot curve: accuracy against training rows per class, with bands over draws."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from featstore.errors import InvalidInputError
from featstore.plots.canvas import INK, MARKERS, PALETTE, axes, grid, percent

_COLUMNS = ("feature", "probe", "shots", "metric", "mean", "low", "high")


def few_shot(summary: pd.DataFrame, *, metric: str = "top1", ax: Axes | None = None) -> Axes:
    """Draw the mean over draws against the number of shots, its interval as a band.

    Parameters
    ----------
    summary
        Of `featstore.few_shot`, or of several results below each other
        (`featstore.few_shot_result.joined`): a line for every feature and probe.
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
    if missing := [column for column in _COLUMNS if column not in summary]:
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
        line = line.sort_values("shots")
        colour = PALETTE[i % len(PALETTE)]
        name = f"{feature}, {probe}" if several_probes else str(feature)
        bounded = line.dropna(subset=["low", "high"])
        ax.fill_between(
            bounded["shots"], bounded["low"], bounded["high"], color=colour, alpha=0.2, linewidth=0
        )
        ax.plot(
            line["shots"],
            line["mean"],
            color=colour,
            marker=MARKERS[i % len(MARKERS)],
            markersize=5,
            label=name,
        )
    shots = sorted(drawn["shots"].unique())
    ax.set_xticks(shots, [f"{k:g}" for k in shots])
    ax.xaxis.set_minor_locator(NullLocator())
    if len(shots) == 1:
        ax.set_xlim(shots[0] / 2, shots[0] * 2)
    values = drawn[["mean", "low", "high"]].to_numpy(float)
    lowest, highest = float(np.nanmin(values)), float(np.nanmax(values))
    ax.set_ylim(math.floor(20 * lowest) / 20 - 0.01, math.ceil(20 * highest) / 20 + 0.01)
    ax.yaxis.set_major_formatter(percent())
    ax.set_ylabel("top-1 accuracy" if metric == "top1" else metric.replace("_", " "))
    ax.set_xlabel("training images per class")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=9, frameon=False, labelcolor=INK)
    return ax
