"""Granularity gap: what one run gains over another from coarse to fine (Fig. 5)."""

from __future__ import annotations

from matplotlib.axes import Axes

from featstore.analysis.granularity_gap import GranularityGap
from featstore.plots.canvas import BLUE, INK, MARKERS, axes, grid, percent, text_width


def granularity_gap(gap: GranularityGap, *, ax: Axes | None = None) -> Axes:
    r"""Draw the gap with its interval against level, the finest on the right.

    Levels at which the gap can be told from 0, as `GranularityGap.opens_at` counts them, are
    filled, the others hollow.

    Parameters
    ----------
    gap
        Of `featstore.analysis.granularity_gap`.
    ax
        Axes to draw on; a new figure by default.

    Examples
    --------
    >>> import pandas as pd
    >>> levels = pd.DataFrame({"level": ["item", "part"], "n_classes": [10, 3], "gap": [0.1, 0.02],
    ...                        "low": [0.05, -0.01], "high": [0.15, 0.05]})
    >>> ax = granularity_gap(GranularityGap(levels, "item", 0.95, 100, 0, 0))
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['part\n3', 'item\n10']
    """
    frame = gap.levels.iloc[::-1]
    ticks = [f"{level}\n{n:,}" for level, n in zip(frame["level"], frame["n_classes"], strict=True)]
    ax = axes(ax, width=1.2 + max(4.8, len(ticks) * (0.15 + text_width(ticks))), height=3.4)
    grid(ax, "y")
    places = range(len(frame))
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.vlines(places, frame["low"], frame["high"], color=BLUE, alpha=0.5, linewidth=3)
    ax.plot(places, frame["gap"], color=BLUE)
    names = frame["level"].tolist()
    opened = len(names) if gap.opens_at is None else names.index(gap.opens_at)
    for shown, filling in ((slice(opened, None), BLUE), (slice(0, opened), "white")):
        ax.plot(
            places[shown],
            frame["gap"].iloc[shown],
            MARKERS[0],
            color=BLUE,
            markerfacecolor=filling,
            markersize=6,
        )
    ax.set_xticks(places, ticks)
    ax.yaxis.set_major_formatter(percent(symbol=" pts"))
    ax.set_ylabel("gain in top-1 accuracy")
    ax.set_xlabel("level and number of classes")
    return ax
