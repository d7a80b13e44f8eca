"""Granularity gap: what one run gains over another from coarse to fine (Fig. 5)."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from featstore.analysis.granularity_gap import GranularityGap
from featstore.errors import InvalidInputError
from featstore.plots.canvas import (
    BLUE,
    MARKERS,
    axes,
    grid,
    ink,
    label_x,
    percent,
    points,
    text_width,
)
from featstore.run import ProbeRun
from featstore.run import granularity_gap as gap_of
from featstore.run_changes import run_pair
from featstore.taxonomy import Taxonomy


def granularity_gap(
    gap: GranularityGap | tuple[ProbeRun, ProbeRun],
    taxonomy: Taxonomy | str | Path | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the gap with its interval against level, the finest on the right.

    Levels at which the gap can be told from 0, as `GranularityGap.opens_at` counts them, are
    filled, the others hollow.

    Parameters
    ----------
    gap
        What `featstore.granularity_gap` returned, or its two runs, the baseline first.
    taxonomy
        Of the runs, or a file of one.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If runs come without a taxonomy.

    Examples
    --------
    >>> import pandas as pd
    >>> levels = pd.DataFrame({"level": ["item", "part"], "n_classes": [10, 3], "gap": [0.1, 0.02],
    ...                        "low": [0.05, -0.01], "high": [0.15, 0.05]})
    >>> ax = granularity_gap(GranularityGap(levels, "item", 0.95, 100, 0, 0))
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['part\n3', 'item\n10']
    """
    if not isinstance(gap, GranularityGap):
        if taxonomy is None:
            raise InvalidInputError(
                "runs are coarsened by a taxonomy: pass one, such as store.taxonomy(name) or a file"
            )
        gap = gap_of(*run_pair(gap), taxonomy)
    frame = gap.levels.iloc[::-1]
    ticks = [f"{level}\n{n:,}" for level, n in zip(frame["level"], frame["n_classes"], strict=True)]
    ax = axes(ax, width=1.2 + max(4.8, len(ticks) * (0.15 + text_width(ticks))), height=3.4)
    grid(ax, "y")
    places = range(len(frame))
    ax.axhline(0, color=ink(), linewidth=points(0.8))
    ax.vlines(places, frame["low"], frame["high"], color=BLUE, alpha=0.5, linewidth=points(3))
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
            markersize=points(6),
        )
    ax.set_xticks(places, ticks)
    ax.yaxis.set_major_formatter(percent(symbol=" pts"))
    ax.set_ylabel("gain in top-1 accuracy")
    label_x(ax, "level and number of classes")
    return ax
