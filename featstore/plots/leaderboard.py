"""Leaderboard: one dot with its interval per run, the best on top."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from featstore.errors import InvalidInputError
from featstore.metric_names import axis_name
from featstore.plots.canvas import (
    BLUE,
    grid,
    ink,
    label_x,
    name_rows,
    percent,
    points,
    row_axes,
)
from featstore.run import ProbeRun
from featstore.run_labels import Runs, named_runs
from featstore.suggest import did_you_mean


def leaderboard(
    runs: Runs | pd.DataFrame, *, metric: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw runs in the order of their value.

    Parameters
    ----------
    runs
        One, several, or several by name; or a frame with the columns name, value, low, high, one
        row per run, whose bounds may be NaN.
    metric
        Of the runs, top1 or mAP by default; of a frame it labels the axis of values.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If there are no runs, or one lacks the metric.

    Examples
    --------
    >>> frame = pd.DataFrame({"name": ["resnet50", "dinov2"], "value": [0.71, 0.84],
    ...                       "low": [0.69, 0.82], "high": [0.73, 0.86]})
    >>> [label.get_text() for label in leaderboard(frame).get_yticklabels()]
    ['dinov2', 'resnet50']
    """
    if isinstance(runs, pd.DataFrame):
        frame, label = runs, metric or "accuracy"
    else:
        frame, label = _of_runs(named_runs(runs), metric)
    frame = frame.sort_values("value", ascending=False, kind="stable")
    names = [str(name) for name in frame["name"]]
    ax = row_axes(ax, names, width=4.8, height=1.0, row=0.3)
    grid(ax, "x")
    rows = range(len(frame))
    ax.hlines(rows, frame["low"], frame["high"], color=BLUE, alpha=0.5, linewidth=points(3))
    ax.plot(frame["value"], rows, "o", color=BLUE, markersize=points(6))
    right = frame["high"].fillna(frame["value"])
    for row, x, value in zip(rows, right, frame["value"], strict=True):
        ax.annotate(
            f"{value:.1%}",
            (x, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=points(9),
            color=ink(),
        )
    name_rows(ax, names)
    ax.margins(x=0.08)
    ax.xaxis.set_major_formatter(percent())
    label_x(ax, label)
    return ax


def _of_runs(runs: Mapping[str, ProbeRun], metric: str | None) -> tuple[pd.DataFrame, str]:
    rows = []
    for name, run in runs.items():
        known = run.metrics.set_index("metric")
        wanted = metric or ("top1" if "top1" in known.index else "mAP")
        if wanted not in known.index:
            raise InvalidInputError(
                f"{name} has no metric {wanted!r}. {did_you_mean(wanted, list(known.index))}"
            )
        rows.append({"name": name, "metric": wanted, **known.loc[wanted, ["value", "low", "high"]]})
    frame = pd.DataFrame(rows)
    return frame, " or ".join(axis_name(str(found)) for found in frame["metric"].unique())
