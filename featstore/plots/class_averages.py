"""Averages of classes by group, for one or several runs (Fig. A3)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.analysis.class_averages import class_averages as averages_of
from featstore.class_groups import ClassGroups
from featstore.errors import InvalidInputError
from featstore.plots.canvas import (
    grid,
    label_x,
    legend_above,
    look,
    name_rows,
    percent,
    points,
    row_axes,
)
from featstore.run_labels import Runs, named_runs


def class_averages(
    runs: pd.DataFrame | Runs,
    groups: ClassGroups | None = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw a point per run and group, as Cole et al. (2022), Fig. A3.

    Thick lines are intervals over test rows, thin ones over classes.

    Parameters
    ----------
    runs
        Of one target; or the frame of `featstore.analysis.class_averages`.
    groups
        Of the classes; a frame needs none.
    n_boot, seed
        Of the intervals; only of runs.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If runs come without groups.

    Examples
    --------
    >>> frame = pd.DataFrame({"run": ["a", "a"], "group": ["birds", "mammals"],
    ...                       "n_classes": [9, 4], "metric": "accuracy", "value": [0.4, 0.6],
    ...                       "low": [0.3, 0.5], "high": [0.5, 0.7], "low_classes": [0.2, 0.4],
    ...                       "high_classes": [0.6, 0.8]})
    >>> [label.get_text() for label in class_averages(frame).get_yticklabels()]
    ['birds (9)', 'mammals (4)']
    """
    if isinstance(runs, pd.DataFrame):
        frame = runs
    elif groups is None:
        raise InvalidInputError(
            "means are over groups of classes: pass them, e.g. ClassGroups.from_taxonomy(taxonomy, "
            "level, run.predictions.classes)"
        )
    else:
        predictions = {name: run.predictions for name, run in named_runs(runs).items()}
        frame = averages_of(predictions, groups, n_boot=n_boot, seed=seed)
    labels = [str(run) for run in frame["run"].unique()]
    first = frame[frame["run"] == labels[0]]
    names = [f"{name} ({n:,})" for name, n in zip(first["group"], first["n_classes"], strict=True)]
    ax = row_axes(ax, names, width=4.8, height=1.2, row=0.16 + 0.12 * len(labels), legend=labels)
    grid(ax, "x")
    for i, run in enumerate(labels):
        rows, drawing = frame[frame["run"] == run], look(i)
        colour = drawing["color"]
        places = np.arange(len(rows)) + 0.6 * ((i + 0.5) / len(labels) - 0.5)
        ax.hlines(
            places, rows["low_classes"], rows["high_classes"], color=colour, linewidth=points(1)
        )
        ax.hlines(places, rows["low"], rows["high"], color=colour, alpha=0.5, linewidth=points(4))
        ax.plot(
            rows["value"],
            places,
            drawing["marker"],
            color=colour,
            markersize=points(5),
            label=run,
        )
    name_rows(ax, names)
    metric = str(frame["metric"].iloc[0]).replace("_", " ")
    label_x(ax, f"{metric}, mean over classes (in brackets: how many)")
    ax.xaxis.set_major_formatter(percent())
    if len(labels) > 1:
        legend_above(ax)
    return ax
