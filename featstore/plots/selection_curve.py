"""Selection curve: the validation metric along the grid that a hyper-parameter was chosen from."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from featstore.errors import InvalidInputError
from featstore.metric_names import metric_name
from featstore.plots.canvas import (
    BLUE,
    VERMILLION,
    axes,
    grid,
    ink,
    label_x,
    percent,
    points,
    title,
)
from featstore.run import ProbeRun

_LABELLED_VALUES = 8


def selection_curve(
    run: pd.DataFrame | ProbeRun,
    *,
    parameter: str | None = None,
    metric: str = "accuracy",
    chosen: float | None = None,
    scale: Literal["log", "positions"] = "log",
    ax: Axes | None = None,
) -> Axes:
    """Draw the metric against the parameter, the chosen value marked.

    Parameters
    ----------
    run
        A run that chose a value; or a frame: one row per tried value, with the columns `parameter`
        and `metric`; a column se, the standard error, is drawn as a band, and where it decided (the
        chosen value is not the best) so is the line one error below the best.
    parameter
        For example ``"C"`` or ``"k"``; that of the run by default.
    metric
        Measured on the validation rows; of a run, what it was chosen by.
    chosen
        The value that was chosen; by default the first with the best metric.
    scale
        ``"log"``: of positive values.  ``"positions"``: of places in a grid, whose order means
        nothing; they are not joined by a line.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If a column is missing, no row is there, a value is not positive on a logarithmic axis,
        or `chosen` was not tried.

    Examples
    --------
    >>> frame = pd.DataFrame({"k": [10, 20, 100, 200], "accuracy": [0.70, 0.72, 0.69, 0.6]})
    >>> selection_curve(frame, parameter="k").get_title(loc="left")
    'chosen: k = 20, 72.0%'
    """
    if isinstance(run, ProbeRun):
        config, tried = run.config, run.selection
        parameter, metric = config.parameter, config.metric or metric
        frame = tried.rename(columns={"value": parameter, "score": metric})
        chosen = config.value if chosen is None else chosen
        scale = "positions" if parameter == "head" else scale
    else:
        frame = run
    if parameter is None:
        raise InvalidInputError("say which column holds the parameter: parameter='C'")
    if missing := [column for column in (parameter, metric) if column not in frame]:
        raise InvalidInputError(f"no column {missing[0]!r}; the frame has {list(frame.columns)}")
    frame = frame.sort_values(parameter, kind="stable").reset_index(drop=True)
    x, y = frame[parameter], frame[metric]
    if frame.empty or (scale == "log" and not (x > 0).all()):
        raise InvalidInputError(
            f"cannot draw {parameter} = {list(x)} on a logarithmic axis: positive values are needed"
        )
    picked = frame.loc[[y.argmax()]] if chosen is None else frame.loc[x == chosen]
    if picked.empty:
        raise InvalidInputError(f"{parameter} = {chosen:g} was not tried; tried were {list(x)}")
    best_x, best_y = float(picked[parameter].iloc[0]), float(picked[metric].iloc[0])
    ax = axes(ax, width=4.8, height=3.2)
    grid(ax, "y")
    ax.set_xscale("log" if scale == "log" else "linear")
    ax.axvline(best_x, color=VERMILLION, linewidth=points(1), linestyle="--")
    ax.plot(x, y, "o-" if scale == "log" else "o", color=BLUE, markersize=points(4))
    ax.plot(best_x, best_y, "o", color=VERMILLION, markersize=points(8))
    if "se" in frame and frame["se"].notna().any():
        error = frame["se"]
        ax.fill_between(x, y - error, y + error, color=BLUE, alpha=0.2, linewidth=0)
        best = y.argmax()
        if best_y < y[best]:
            ax.axhline(y[best] - error[best], color=ink(), linewidth=points(1), linestyle=":")
    if len(frame) <= _LABELLED_VALUES:
        ax.set_xticks(x, [f"{value:g}" for value in x])
        ax.xaxis.set_minor_locator(NullLocator())
    ax.tick_params(axis="x", which="minor", color=ink())
    ax.yaxis.set_major_formatter(percent())
    label_x(ax, parameter)
    ax.set_ylabel(f"validation {metric_name(metric)}")
    title(ax, f"chosen: {parameter} = {best_x:g}, {best_y:.1%}")
    return ax
