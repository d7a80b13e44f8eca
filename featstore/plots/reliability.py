"""Reliability: accuracy against confidence, and the diagonal where both agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.errors import InvalidInputError
from featstore.plots.canvas import INK, MARKERS, PALETTE, axes, grid, percent, title

_COLUMNS = {"confidence", "accuracy", "low", "high"}


def reliability(curve: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a reliability curve with its Wilson intervals.

    Below the diagonal the probe is surer than it is right.

    Parameters
    ----------
    curve
        What `featstore.analysis.reliability` returned, or `Calibration.curve`, whose column scores
        makes one line each.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If a column is missing.

    Examples
    --------
    >>> curve = pd.DataFrame({"confidence": [0.4, 0.9], "accuracy": [0.5, 0.8],
    ...                       "low": [0.3, 0.7], "high": [0.7, 0.9]})
    >>> reliability(curve).get_xlabel()
    'confidence'
    """
    if missing := sorted(_COLUMNS - set(curve)):
        raise InvalidInputError(f"no column {missing[0]!r}; the frame has {list(curve.columns)}")
    ax = axes(ax, width=4.2, height=3.8)
    grid(ax, "y")
    ax.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
    parts = curve.groupby("scores", sort=False) if "scores" in curve else [("", curve)]
    for (name, part), colour, marker in zip(parts, PALETTE, MARKERS, strict=False):
        x, y = part["confidence"].to_numpy(), part["accuracy"].to_numpy()
        errors = np.maximum([y - part["low"], part["high"] - y], 0)
        ax.errorbar(
            x,
            y,
            yerr=errors,
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.5,
            elinewidth=0.8,
            label=str(name),
        )
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.02)
    ax.xaxis.set_major_formatter(percent())
    ax.yaxis.set_major_formatter(percent())
    ax.set_xlabel("confidence")
    ax.set_ylabel("accuracy")
    if "scores" in curve:
        ax.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper left")
    title(ax, "how often predictions come true")
    return ax
