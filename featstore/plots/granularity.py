"""Granularity: accuracy from the coarsest level of a taxonomy to the finest (Fig. 5)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from featstore.analysis.level_hits import Rule
from featstore.level_frames import Levels, level_frames
from featstore.plots.canvas import (
    axes,
    grid,
    ink,
    label_x,
    legend_above,
    look,
    percent,
    points,
    text_width,
)
from featstore.taxonomy import Taxonomy

_CHANCE = "always the most frequent class"


def granularity(
    runs: Levels,
    taxonomy: Taxonomy | str | Path | None = None,
    *,
    rule: Rule = "argmax",
    of: str | None = None,
    n_boot: int = 1000,
    seed: int = 0,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw accuracy against level, the finest on the right, as Cole et al. (2022), Fig. 5.

    Parameters
    ----------
    runs
        One, several, or several by name; or the name of each -> frame of
        `featstore.analysis.granularity`, all of one taxonomy.
    taxonomy
        Of the runs, or a file of one; frames need none.
    rule, of, n_boot, seed
        See `featstore.analysis.granularity`; only of runs.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If there is nothing to draw, runs come without a taxonomy, or levels or numbers of classes
        differ.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"level": ["item", "part"], "n_classes": [10, 3],
    ...                       "accuracy": [0.7, 0.9], "low": [0.6, 0.8], "high": [0.8, 0.95],
    ...                       "chance": [0.1, 0.5]})
    >>> [label.get_text() for label in granularity({"dinov2": frame}).get_xticklabels()]
    ['part\n3', 'item\n10']
    """
    frames = level_frames(runs, taxonomy, rule=rule, of=of, n_boot=n_boot, seed=seed)
    first = next(iter(frames.values()))
    scale = list(zip(first["level"], first["n_classes"], strict=True))[::-1]
    ticks = [f"{level}\n{count:,}" for level, count in scale]
    broad = max(4.8, text_width([*frames, _CHANCE]), len(ticks) * (0.15 + text_width(ticks)))
    ax = axes(ax, width=1.2 + broad, height=3.2, legend=[*frames, _CHANCE])
    grid(ax, "y")
    shift = min(0.05, 0.2 / len(frames))
    for i, (name, frame) in enumerate(frames.items()):
        coarse_first = frame.iloc[::-1]
        # Side by side, so that intervals of equal height stay apart.
        x = [place + shift * (i - (len(frames) - 1) / 2) for place in range(len(frame))]
        drawing, value = look(i), coarse_first["accuracy"]
        colour = drawing["color"]
        ax.vlines(
            x,
            coarse_first["low"],
            coarse_first["high"],
            color=colour,
            alpha=0.5,
            linewidth=points(3),
        )
        ax.plot(x, value, markersize=points(5), linewidth=points(1.5), label=name, **drawing)
    for i, chance in enumerate({tuple(frame["chance"].iloc[::-1]) for frame in frames.values()}):
        label = None if i else _CHANCE
        ax.plot(range(len(scale)), chance, ":", color=ink(), linewidth=points(1.5), label=label)
    ax.set_xticks(range(len(scale)), ticks)
    ax.yaxis.set_major_formatter(percent())
    drawn = [frame[["accuracy", "low", "chance"]].to_numpy(float) for frame in frames.values()]
    lowest = min(float(np.nanmin(values)) for values in drawn)
    ax.set_ylim(max(math.floor(10 * lowest) / 10, 0) - 0.02, 1.02)
    ax.set_ylabel("top-1 accuracy")
    label_x(ax, "level and number of classes")
    legend_above(ax)
    return ax
