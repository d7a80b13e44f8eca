"""Where mistakes fall: among siblings, cousins or strangers, beside random mistakes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.plots.canvas import INK, PALETTE, axes, grid, name_rows, percent, text_width


def kin_confusion(frame: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the shares of mistakes by kinship, with a tick where random mistakes would be.

    Parameters
    ----------
    frame
        Of `featstore.analysis.kin_confusion`.
    ax
        Axes to draw on; a new figure by default.

    Examples
    --------
    >>> frame = pd.DataFrame({"group": "all", "relation": ["siblings", "strangers"],
    ...                       "mistakes": 40, "share": [0.7, 0.3], "low": [0.6, 0.2],
    ...                       "high": [0.8, 0.4], "expected": [0.1, 0.9]})
    >>> [label.get_text() for label in kin_confusion(frame).get_yticklabels()]
    ['all: siblings', 'all: strangers']
    """
    frame = frame.dropna(subset="share")
    names = [
        f"{group}: {kin}" for group, kin in zip(frame["group"], frame["relation"], strict=True)
    ]
    ax = axes(ax, width=4.8 + text_width(names), height=1.2 + 0.26 * len(names))
    grid(ax, "x")
    places = np.arange(len(frame))
    relations = list(frame["relation"].unique())
    colours = [PALETTE[relations.index(kin) % len(PALETTE)] for kin in frame["relation"]]
    ax.barh(places, frame["share"], color=colours, alpha=0.75, height=0.6)
    ax.hlines(places, frame["low"], frame["high"], color=INK, linewidth=1.5)
    ax.plot(frame["expected"], places, "|", color=INK, markersize=12, markeredgewidth=2)
    name_rows(ax, names)
    ax.set_xlim(0, 1.02)
    ax.set_xlabel("share of the mistakes (tick: of random mistakes)")
    ax.xaxis.set_major_formatter(percent())
    return ax
