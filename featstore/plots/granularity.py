"""Granularity: accuracy from the coarsest level of a taxonomy to the finest (Fig. 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.errors import InvalidInputError
from featstore.plots.canvas import INK, MARKERS, PALETTE, axes, grid, percent, text_width

_CHANCE = "always the most frequent class"


def granularity(frames: Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    r"""Draw accuracy against level, the finest on the right, as Cole et al. (2022), Fig. 5.

    Parameters
    ----------
    frames
        Name of the run -> frame of `featstore.analysis.granularity`; all of one taxonomy.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If there are no frames, or they have different levels or numbers of classes.

    Examples
    --------
    >>> frame = pd.DataFrame({"level": ["item", "part"], "n_classes": [10, 3],
    ...                       "accuracy": [0.7, 0.9], "low": [0.6, 0.8], "high": [0.8, 0.95],
    ...                       "chance": [0.1, 0.5]})
    >>> [label.get_text() for label in granularity({"dinov2": frame}).get_xticklabels()]
    ['part\n3', 'item\n10']
    """
    if not frames:
        raise InvalidInputError("no runs to draw: pass {name: frame of granularity(...)}")
    scales = {
        name: list(zip(frame["level"], frame["n_classes"], strict=True))[::-1]
        for name, frame in frames.items()
    }
    scale = next(iter(scales.values()))
    if other := [name for name, theirs in scales.items() if theirs != scale]:
        raise InvalidInputError(
            f"{other[0]!r} has other levels or numbers of classes than {next(iter(scales))!r}: "
            f"{scales[other[0]]} and {scale}"
        )
    ticks = [f"{level}\n{count:,}" for level, count in scale]
    ax = axes(
        ax,
        width=1.2
        + max(4.8, text_width([*frames, _CHANCE]), len(ticks) * (0.15 + text_width(ticks))),
        height=3.4 + 0.2 * len(frames),
    )
    grid(ax, "y")
    shift = min(0.05, 0.2 / len(frames))
    for i, (name, frame) in enumerate(frames.items()):
        coarse_first = frame.iloc[::-1]
        # Side by side, so that intervals of equal height stay apart.
        x = [place + shift * (i - (len(frames) - 1) / 2) for place in range(len(frame))]
        colour, value = PALETTE[i % len(PALETTE)], coarse_first["accuracy"]
        ax.vlines(
            x, coarse_first["low"], coarse_first["high"], color=colour, alpha=0.5, linewidth=3
        )
        ax.plot(x, value, color=colour, marker=MARKERS[i % len(MARKERS)], markersize=5, label=name)
    for i, chance in enumerate({tuple(frame["chance"].iloc[::-1]) for frame in frames.values()}):
        label = None if i else _CHANCE
        ax.plot(range(len(scale)), chance, ":", color=INK, label=label)
    ax.set_xticks(range(len(scale)), ticks)
    ax.yaxis.set_major_formatter(percent())
    drawn = [frame[["accuracy", "low", "chance"]].to_numpy(float) for frame in frames.values()]
    lowest = min(float(np.nanmin(values)) for values in drawn)
    ax.set_ylim(max(math.floor(10 * lowest) / 10, 0) - 0.02, 1.02)
    ax.set_ylabel("top-1 accuracy")
    ax.set_xlabel("level and number of classes")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=9, frameon=False, labelcolor=INK)
    return ax
