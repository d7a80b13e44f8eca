"""Shift: shares of the classes in two sets of rows."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from featstore.analysis.label_shift import LabelShift
from featstore.errors import InvalidInputError
from featstore.plots.canvas import (
    BLUE,
    ORANGE,
    grid,
    ink,
    label_x,
    legend_inside,
    name_rows,
    percent,
    points,
    row_axes,
    title,
)
from featstore.split_shift import Shift


def shift(
    labels: LabelShift | Shift,
    *,
    a: str = "a",
    b: str = "b",
    limit: int = 20,
    ax: Axes | None = None,
) -> Axes:
    """Draw the classes whose shares differ most between two sets of rows.

    Parameters
    ----------
    labels
        What `featstore.shift` or `featstore.analysis.label_shift` returned.
    a, b
        What the sets are called; a result of `featstore.shift` says it.
    limit
        Classes, at most.
    ax
        Axes to draw on; a new figure by default.

    Examples
    --------
    >>> from featstore.analysis import label_shift
    >>> labels = label_shift(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), ("cat", "dog"))
    >>> shift(labels).get_title(loc="left")
    'largest difference of a share: 25.0%'
    """
    found = labels
    if isinstance(labels, Shift):
        if labels.labels is None:
            raise InvalidInputError(f"{labels.a} and {labels.b} have no labels to draw")
        found, a, b = labels.labels, labels.a, labels.b
    assert isinstance(found, LabelShift)
    frame = found.classes
    gap = (frame["share_b"] - frame["share_a"]).to_numpy()
    frame = frame.iloc[np.argsort(-np.abs(gap), kind="stable")[:limit]]
    names = frame["class"].tolist()
    spare = 0.26 * max(2 - len(names), 0)
    ax = row_axes(ax, names, width=3.6, height=1.4 + spare, row=0.26)
    grid(ax, "x")
    places = np.arange(len(names))
    ax.hlines(places, frame["share_a"], frame["share_b"], color=ink(), linewidth=points(1.2))
    ax.plot(frame["share_a"], places, "o", color=BLUE, markersize=points(6), label=a)
    ax.plot(frame["share_b"], places, "s", color=ORANGE, markersize=points(6), label=b)
    name_rows(ax, names)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(percent())
    label_x(ax, "share of the rows")
    legend_inside(ax, "lower right")
    largest = float(np.abs(gap).max())
    title(ax, f"largest difference of a share: {largest:.1%}")
    return ax
