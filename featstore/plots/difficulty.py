"""Difficulty: the hardest and easiest classes of one run followed to the other (Fig. A5)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from featstore.analysis.difficulty import Difficulty
from featstore.paired_runs import difficulty as difficulty_of
from featstore.plots.canvas import (
    BLUE,
    VERMILLION,
    axes,
    grid,
    ink,
    name_sides,
    percent,
    points,
    title,
)
from featstore.run import ProbeRun
from featstore.run_changes import run_pair
from featstore.run_labels import run_labels

_WIDTH = 3.6


def difficulty(
    found: Difficulty | tuple[ProbeRun, ProbeRun],
    *,
    chosen_by: Literal["a", "b"] = "a",
    names: tuple[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a line for every chosen class, as Cole et al. (2022), Fig. A5.

    The run that chooses is on the left.  Dashed: the mean of the chosen on rows that did not choose
    them, which is where an unchanged representation would end too.

    Parameters
    ----------
    found
        What `featstore.difficulty` returned, or its two runs.
    chosen_by
        Whose hardest (vermillion) and easiest (blue) classes are followed.
    names
        Of the runs a and b; what tells them apart by default.
    ax
        Axes to draw on; a new figure by default.

    Examples
    --------
    >>> from featstore.analysis.difficulty import difficulty as follow
    >>> from featstore.decisions import Decisions
    >>> rows = np.arange(80)
    >>> called = np.where(rows % 10 < 2 * (rows % 4), (rows + 1) % 4, rows % 4)
    >>> run = Decisions(rows.astype(str), tuple("abcd"), rows % 4, called, np.ones(4, bool))
    >>> ax = difficulty(follow(run, run, n_boot=0), chosen_by="b", names=("dino", "clip"))
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['clip', 'dino']
    """
    if not isinstance(found, Difficulty):
        pair = run_pair(found)
        names = names or tuple(run_labels(pair))  # type: ignore[assignment]  # a pair has two
        found = difficulty_of(*pair, n_boot=0)
    names = names or ("a", "b")
    other = "b" if chosen_by == "a" else "a"
    ax = axes(ax, width=_WIDTH, height=3.8)
    grid(ax, "y")
    for end, colour in (("easiest", BLUE), ("hardest", VERMILLION)):
        of_end = (found.followed["chosen_by"] == chosen_by) & (found.followed["end"] == end)
        values = found.followed.loc[of_end, [f"value_{chosen_by}", f"value_{other}"]].to_numpy()
        sides = np.broadcast_to([0.0, 1.0], values.shape)
        # One collection: hundreds of single lines would take seconds.
        lines = LineCollection(
            list(np.stack([sides, values], axis=-1)),
            colors=colour,
            alpha=max(0.08, 1 / (1 + len(values) / 10)),
            linewidths=points(1.5),
        )
        ax.add_collection(lines)
        ends = found.ends[(found.ends["chosen_by"] == chosen_by) & (found.ends["end"] == end)]
        means = ends[[f"other_rows_{chosen_by}", f"other_rows_{other}"]].to_numpy()[0]
        ax.plot(
            [0, 1],
            means,
            color=ink(),
            linestyle="--",
            marker="o",
            markersize=points(4),
            linewidth=points(2),
        )
    name_sides(ax, [names["ab".index(run)] for run in (chosen_by, other)], width=_WIDTH)
    ax.set_ylabel(found.metric.replace("_", " ") + " of the class")
    ax.yaxis.set_major_formatter(percent())
    spearman = found.correlations["value"].iloc[0]
    title(ax, f"rank correlation of {found.n_classes:,} classes: {spearman:.2f}")
    return ax
