"""Reliability: accuracy against confidence, and the diagonal where both agree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.errors import InvalidInputError
from featstore.plots.canvas import (
    axes,
    grid,
    ink,
    label_x,
    legend_inside,
    look,
    percent,
    points,
    title,
)
from featstore.run import ProbeRun
from featstore.run_calibration import Calibration
from featstore.run_labels import Runs, named_runs

_COLUMNS = {"confidence", "accuracy", "low", "high"}


def reliability(curve: pd.DataFrame | Calibration | Runs, *, ax: Axes | None = None) -> Axes:
    """Draw a reliability curve with its Wilson intervals.

    Below the diagonal the probe is surer than it is right.

    Parameters
    ----------
    curve
        What `featstore.analysis.reliability` or `featstore.calibration` returned, or runs; a column
        scores makes one line each.
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
    if not isinstance(curve, pd.DataFrame):
        curve = curve.curve if isinstance(curve, Calibration) else _of_runs(named_runs(curve))
    if missing := sorted(_COLUMNS - set(curve)):
        raise InvalidInputError(f"no column {missing[0]!r}; the frame has {list(curve.columns)}")
    ax = axes(ax, width=4.2, height=3.8)
    grid(ax, "y")
    ax.plot([0, 1], [0, 1], color=ink(), linewidth=points(1), linestyle=":")
    parts = curve.groupby("scores", sort=False) if "scores" in curve else [("", curve)]
    for number, (name, part) in enumerate(parts):
        x, y = part["confidence"].to_numpy(), part["accuracy"].to_numpy()
        errors = np.maximum([y - part["low"], part["high"] - y], 0)
        ax.errorbar(
            x,
            y,
            yerr=errors,
            markersize=points(4),
            linewidth=points(1.5),
            elinewidth=points(0.8),
            label=str(name),
            **look(number),
        )
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.02)
    ax.xaxis.set_major_formatter(percent())
    ax.yaxis.set_major_formatter(percent())
    label_x(ax, "confidence")
    ax.set_ylabel("accuracy")
    if "scores" in curve:
        legend_inside(ax, "lower right")
    title(ax, "how often predictions come true")
    return ax


def _of_runs(runs: Mapping[str, ProbeRun]) -> pd.DataFrame:
    frames = [run.reliability().assign(scores=name) for name, run in runs.items()]
    return pd.concat(frames, ignore_index=True)
