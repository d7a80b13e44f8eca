"""Averages of classes by group, for one or several runs (Fig. A3)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.plots.canvas import INK, MARKERS, PALETTE, axes, grid, name_rows, percent, text_width


def class_averages(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a point per run and group, as Cole et al. (2022), Fig. A3.

    Thick lines are intervals over test rows, thin ones over classes.

    Parameters
    ----------
    frame
        Of `featstore.analysis.class_averages`.
    ax
        Axes to draw on; a new figure by default.

    Examples
    --------
    >>> frame = pd.DataFrame({"run": ["a", "a"], "group": ["birds", "mammals"],
    ...                       "n_classes": [9, 4], "metric": "accuracy", "value": [0.4, 0.6],
    ...                       "low": [0.3, 0.5], "high": [0.5, 0.7], "low_classes": [0.2, 0.4],
    ...                       "high_classes": [0.6, 0.8]})
    >>> [label.get_text() for label in class_averages(frame).get_yticklabels()]
    ['birds (9)', 'mammals (4)']
    """
    runs = list(frame["run"].unique())
    first = frame[frame["run"] == runs[0]]
    names = [f"{name} ({n:,})" for name, n in zip(first["group"], first["n_classes"], strict=True)]
    height = 1.2 + len(names) * (0.16 + 0.12 * len(runs)) + 0.2 * len(runs)
    ax = axes(ax, width=4.8 + text_width(names), height=height)
    grid(ax, "x")
    for i, run in enumerate(runs):
        rows, colour = frame[frame["run"] == run], PALETTE[i % len(PALETTE)]
        places = np.arange(len(rows)) + 0.6 * ((i + 0.5) / len(runs) - 0.5)
        ax.hlines(places, rows["low_classes"], rows["high_classes"], color=colour, linewidth=1)
        ax.hlines(places, rows["low"], rows["high"], color=colour, alpha=0.5, linewidth=4)
        ax.plot(
            rows["value"],
            places,
            MARKERS[i % len(MARKERS)],
            color=colour,
            markersize=5,
            label=str(run),
        )
    name_rows(ax, names)
    metric = str(frame["metric"].iloc[0]).replace("_", " ")
    ax.set_xlabel(f"{metric}, mean over classes (in brackets: how many)")
    ax.xaxis.set_major_formatter(percent())
    if len(runs) > 1:
        ax.legend(
            loc="lower left", bbox_to_anchor=(0, 1), fontsize=9, frameon=False, labelcolor=INK
        )
    return ax
