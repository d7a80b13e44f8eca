"""Seeds and draws: a dot for every run, and the mean that they scatter around."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.analysis.seeds_and_draws import SeedsAndDraws
from featstore.errors import InvalidInputError
from featstore.many_runs import seeds_and_draws as apart
from featstore.metric_names import axis_name
from featstore.plots.canvas import (
    BLUE,
    ORANGE,
    grid,
    label_x,
    name_rows,
    percent,
    points,
    row_axes,
)
from featstore.run_labels import Runs, named_runs

_SPREAD = 0.5
"""Share of a row's height over which its dots are spread."""


def seeds_and_draws(
    found: SeedsAndDraws | Sequence[SeedsAndDraws] | Runs,
    *,
    metric: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the single runs of every feature, their mean and its interval, the best on top.

    Intervals are over seeds and draws that might have been, on the same test rows.

    Parameters
    ----------
    found
        What `featstore.seeds_and_draws` returned, several of these (whose features have names of
        their own), or its runs.
    metric
        Of runs, top1 or mAP by default; else it labels the axis of values.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If there are no results, or as `featstore.seeds_and_draws` of runs.

    Examples
    --------
    >>> scores = pd.DataFrame({"feature": ["resnet50"] * 3 + ["dinov2"] * 3, "seed": [0, 1, 2] * 2,
    ...                        "draw": "all", "value": [0.70, 0.71, 0.69, 0.84, 0.83, 0.82]})
    >>> from featstore.analysis import seeds_and_draws as take_apart
    >>> [label.get_text() for label in seeds_and_draws(take_apart(scores)).get_yticklabels()]
    ['dinov2', 'resnet50']
    """
    results, label = _results(found, metric)
    means = pd.concat([one.features for one in results]).sort_values(
        "mean", ascending=False, kind="stable"
    )
    scores = pd.concat([one.scores for one in results])
    names = [str(name) for name in means["feature"]]
    ax = row_axes(ax, names, width=4.8, height=1.0, row=0.36)
    grid(ax, "x")
    rows = np.arange(len(means))
    ax.hlines(rows, means["low"], means["high"], color=BLUE, alpha=0.45, linewidth=points(4))
    for row, name in zip(rows, means["feature"], strict=True):
        own = scores.loc[scores["feature"] == name, "value"]
        # Side by side in the order of the runs, so that equal ones do not hide each other.
        offsets = _SPREAD * ((np.arange(len(own)) + 0.5) / len(own) - 0.5)
        ax.scatter(
            own,
            row + offsets,
            s=points(3.5) ** 2,
            facecolors="none",
            edgecolors=ORANGE,
            linewidths=points(1),
            zorder=3,
        )
    ax.plot(means["mean"], rows, "o", color=BLUE, markersize=points(6), zorder=4)
    name_rows(ax, names)
    ax.margins(x=0.08)
    ax.xaxis.set_major_formatter(percent())
    label_x(ax, f"{label}: runs (rings), mean over seeds and draws")
    return ax


def _results(
    found: SeedsAndDraws | Sequence[SeedsAndDraws] | Runs, metric: str | None
) -> tuple[list[SeedsAndDraws], str]:
    label = axis_name(metric) if metric else "accuracy"
    if isinstance(found, SeedsAndDraws):
        return [found], label
    listed = list(found) if isinstance(found, Sequence) else []
    results = [one for one in listed if isinstance(one, SeedsAndDraws)]
    if results:
        if len(results) < len(listed):
            raise InvalidInputError("give results of seeds_and_draws, or runs, not both")
        return results, label
    runs = list(named_runs(found).values())  # type: ignore[arg-type]  # runs are left
    usual = metric or ("mAP" if runs[0].predictions.multilabel else "top1")
    return [apart(runs, metric=usual)], axis_name(usual)
