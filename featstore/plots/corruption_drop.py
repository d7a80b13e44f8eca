"""Corruption drop: what each corruption costs each feature (Fig. 4)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.errors import InvalidInputError
from featstore.plots.canvas import INK, PALETTE, axes, grid, name_rows, percent, text_width

_COLUMNS = ("feature", "corruption", "drop", "low", "high")


def corruption_drop(frame: pd.DataFrame, *, metric: str = "top1", ax: Axes | None = None) -> Axes:
    """Draw the decrease of the metric as bars, a group for every corruption.

    Parameters
    ----------
    frame
        Columns feature, corruption, drop, low, high: `CorruptionDrop.drops` of one feature or
        several below each other.
    metric
        Names the axis.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If a column is missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"feature": "resnet50", "corruption": ["jpeg10", "downsample4"],
    ...                       "drop": [0.1, 0.3], "low": [0.08, 0.27], "high": [0.12, 0.33]})
    >>> [label.get_text() for label in corruption_drop(frame).get_yticklabels()]
    ['jpeg10', 'downsample4']
    """
    if missing := [column for column in _COLUMNS if column not in frame]:
        raise InvalidInputError(f"no column {missing[0]!r}; the frame has {list(frame.columns)}")
    names = [str(name) for name in frame["corruption"].unique()]
    features = [str(name) for name in frame["feature"].unique()]
    height = 0.8 / len(features)
    ax = axes(
        ax, width=4.8 + text_width(names), height=1.2 + len(names) * (0.16 + 0.16 * len(features))
    )
    grid(ax, "x")
    for i, feature in enumerate(features):
        own = frame[frame["feature"] == feature].set_index("corruption")
        places = np.asarray([names.index(str(name)) for name in own.index])
        places = places + (i - (len(features) - 1) / 2) * height
        ax.barh(
            places,
            own["drop"],
            height=0.9 * height,
            color=PALETTE[i % len(PALETTE)],
            label=feature,
        )
        ax.hlines(places, own["low"], own["high"], color=INK, linewidth=1.5)
    ax.axvline(0, color=INK, linewidth=0.8)
    name_rows(ax, names)
    ax.xaxis.set_major_formatter(percent(symbol=" pts"))
    ax.set_xlabel(f"decrease of {'top-1 accuracy' if metric == 'top1' else metric}")
    if len(features) > 1:
        ax.legend(
            loc="lower left", bbox_to_anchor=(0, 1), fontsize=9, frameon=False, labelcolor=INK
        )
    return ax
