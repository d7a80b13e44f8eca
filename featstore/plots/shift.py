"""Shift: shares of the classes in two sets of rows."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from featstore.analysis.label_shift import LabelShift
from featstore.plots.canvas import (
    BLUE,
    INK,
    ORANGE,
    axes,
    grid,
    name_rows,
    percent,
    text_width,
    title,
)


def shift(
    labels: LabelShift, *, a: str = "a", b: str = "b", limit: int = 20, ax: Axes | None = None
) -> Axes:
    """Draw the classes whose shares differ most between two sets of rows.

    Parameters
    ----------
    labels
        What `featstore.analysis.label_shift` returned, or `Shift.labels`.
    a, b
        What the sets are called.
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
    frame = labels.classes
    gap = (frame["share_b"] - frame["share_a"]).to_numpy()
    frame = frame.iloc[np.argsort(-np.abs(gap), kind="stable")[:limit]]
    names = frame["class"].tolist()
    ax = axes(ax, width=3.6 + text_width(names), height=1.4 + 0.26 * max(len(names), 2))
    grid(ax, "x")
    places = np.arange(len(names))
    ax.hlines(places, frame["share_a"], frame["share_b"], color=INK, linewidth=1.2)
    ax.plot(frame["share_a"], places, "o", color=BLUE, markersize=6, label=a)
    ax.plot(frame["share_b"], places, "s", color=ORANGE, markersize=6, label=b)
    name_rows(ax, names)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(percent())
    ax.set_xlabel("share of the rows")
    ax.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower right")
    largest = float(np.abs(gap).max())
    title(ax, f"largest difference of a share: {largest:.1%}")
    return ax
