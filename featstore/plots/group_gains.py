"""Gains of groups of classes, with intervals, and which of them hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.class_groups import ClassGroups
from featstore.errors import InvalidInputError
from featstore.paired_runs import group_gains as gains_of
from featstore.plots.canvas import (
    BLUE,
    VERMILLION,
    grid,
    ink,
    label_x,
    name_rows,
    percent,
    points,
    row_axes,
    title,
)
from featstore.run import ProbeRun
from featstore.run_changes import run_pair


def group_gains(
    found: pd.DataFrame | tuple[ProbeRun, ProbeRun],
    groups: ClassGroups | None = None,
    *,
    alpha: float = 0.05,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean gain of every group; filled where it holds after Holm's adjustment.

    Thick lines are intervals over test rows, thin ones over classes.

    Parameters
    ----------
    found
        What `featstore.group_gains` returned, or its two runs, the baseline first.
    groups
        Of the classes; only of runs.
    alpha
        Error rate of the test.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If runs come without groups.

    Examples
    --------
    >>> frame = pd.DataFrame({"group": ["birds", "mammals"], "n_classes": [9, 4],
    ...                       "gain": [0.1, -0.05], "low": [0.05, -0.1], "high": [0.15, 0.02],
    ...                       "low_classes": [0.0, -0.2], "high_classes": [0.2, 0.1],
    ...                       "p_holm": [0.01, 0.2]})
    >>> group_gains(frame).get_title(loc="left")
    '1 of 2 groups differs'
    """
    if isinstance(found, pd.DataFrame):
        frame = found
    elif groups is None:
        raise InvalidInputError(
            "gains are averaged over groups of classes: pass them, e.g. "
            "ClassGroups.from_taxonomy(taxonomy, level, run.predictions.classes)"
        )
    else:
        frame = gains_of(*run_pair(found), groups)
    frame = frame.dropna(subset="gain").sort_values("gain", ascending=False, kind="stable")
    names = [f"{name} ({n:,})" for name, n in zip(frame["group"], frame["n_classes"], strict=True)]
    ax = row_axes(ax, names, width=4.8, height=1.3, row=0.26)
    grid(ax, "x")
    ax.axvline(0, color=ink(), linewidth=points(0.8))
    places, gain = np.arange(len(frame)), frame["gain"].to_numpy()
    colours = [BLUE if value >= 0 else VERMILLION for value in gain]
    ax.hlines(
        places, frame["low_classes"], frame["high_classes"], colors=colours, linewidth=points(1)
    )
    ax.hlines(places, frame["low"], frame["high"], colors=colours, alpha=0.5, linewidth=points(4))
    holds = (frame["p_holm"] <= alpha).to_numpy()
    filling = [colour if held else "white" for colour, held in zip(colours, holds, strict=True)]
    ax.scatter(gain, places, c=filling, edgecolors=colours, s=points(5.5) ** 2, zorder=3)
    name_rows(ax, names)
    label_x(ax, "gain, mean over classes (in brackets: how many)")
    ax.xaxis.set_major_formatter(percent(symbol=" pts"))
    if frame["p_holm"].notna().any():
        title(
            ax, f"{holds.sum()} of {len(frame)} groups {'differs' if sum(holds) == 1 else 'differ'}"
        )
    return ax
