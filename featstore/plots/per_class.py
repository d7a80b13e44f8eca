"""Per class: how well each class is recognised, sorted."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.plots.canvas import (
    BLUE,
    axes,
    grid,
    ink,
    label_x,
    name_rows,
    percent,
    points,
    row_axes,
)
from featstore.run import ProbeRun

NAMED_CLASSES = 40
"""Up to here every class has a row with its name, beyond a place on a curve."""


def per_class(run: ProbeRun | pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the accuracy or average precision of every class that has test rows, best first.

    Parameters
    ----------
    run
        A run, or its frame of `featstore.analysis.per_class`; intervals are drawn where it has
        them.
    ax
        Axes to draw on; a new figure by default.

    Examples
    --------
    >>> frame = pd.DataFrame({"class": ["cat", "dog"], "n": [9, 9], "accuracy": [0.5, 0.9],
    ...                       "low": [0.3, 0.7], "high": [0.7, 1.0]})
    >>> [label.get_text() for label in per_class(frame).get_yticklabels()]
    ['dog (9)', 'cat (9)']
    """
    frame = run.per_class() if isinstance(run, ProbeRun) else run
    metric = "accuracy" if "accuracy" in frame else "average_precision"
    frame = frame.dropna(subset=metric).sort_values(metric, ascending=False, kind="stable")
    many = len(frame) > NAMED_CLASSES
    names = [f"{name} ({n:,})" for name, n in zip(frame["class"], frame["n"], strict=True)]
    if many:
        ax = axes(ax, width=6.4, height=3.6)
    else:
        ax = row_axes(ax, names, width=4.8, height=1.0, row=0.24)
    values, places = frame[metric], np.arange(len(frame))
    if many:
        grid(ax, "y")
        if "low" in frame:
            low, high = frame["low"], frame["high"]
            ax.fill_between(places, low, high, step="mid", color=BLUE, alpha=0.25, linewidth=0)
        ax.step(places, values, where="mid", color=BLUE, linewidth=points(2))
        ax.axhline(values.mean(), color=ink(), linestyle=":")
        ax.annotate(
            f"mean {values.mean():.1%}",
            (1, values.mean()),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=points(9),
            color=ink(),
        )
        label_x(ax, f"{len(frame):,} classes, best first")
        ax.set_ylabel(metric.replace("_", " "))
        ax.yaxis.set_major_formatter(percent())
        ax.set_ylim(-0.02, 1.02)
    else:
        grid(ax, "x")
        if "low" in frame:
            ax.hlines(
                places, frame["low"], frame["high"], color=BLUE, alpha=0.5, linewidth=points(3)
            )
        ax.plot(values, places, "o", color=BLUE, markersize=points(5))
        name_rows(ax, names)
        label_x(ax, f"{metric.replace('_', ' ')} (in brackets: test rows)")
        ax.xaxis.set_major_formatter(percent())
        ax.set_xlim(-0.02, 1.02)
    return ax
