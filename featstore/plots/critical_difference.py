"""Critical differences: methods along a line, and bars over what cannot be told apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from featstore.analysis.all_pairs import AllPairs
from featstore.analysis.critical_difference import CriticalDifference
from featstore.cross_domain_table import CrossDomain
from featstore.many_runs import all_pairs
from featstore.metric_names import axis_name
from featstore.plots.canvas import (
    BLUE,
    grid,
    ink,
    label_x,
    name_rows,
    percent,
    points,
    row_axes,
    title,
)
from featstore.run_labels import Runs, named_runs


def critical_difference(found: CriticalDifference | CrossDomain, *, ax: Axes | None = None) -> Axes:
    """Draw mean ranks, the best on top and on the left, and groups that cannot be told apart.

    Parameters
    ----------
    found
        What `featstore.analysis.critical_difference` or `featstore.cross_domain` returned.
    ax
        Axes to draw on; a new figure by default.

    References
    ----------
    Demšar (2006), JMLR 7, Fig. 1; here every name has a line of its own, and a group's bar has a
    dot for each member, since groups of pairwise tests need not be neighbours.
    """
    if isinstance(found, CrossDomain):
        found = found.critical_difference()
    names, ranks = list(found.ranks["method"]), found.ranks["mean_rank"].to_numpy()
    ax = _groups(names, ranks, found.groups, [f"{rank:.2f}" for rank in ranks], ax=ax)
    label_x(ax, "mean rank (1 is best)")
    spread = "" if np.isnan(found.critical_difference) else f"; CD {found.critical_difference:.2f}"
    title(ax, f"{len(found.datasets)} data sets, {found.post_hoc}{spread}")
    return ax


def pairwise_groups(
    found: AllPairs | Runs, *, n_boot: int = 1000, seed: int = 0, ax: Axes | None = None
) -> Axes:
    """Draw the values of many runs with their intervals, and groups that cannot be told apart.

    Parameters
    ----------
    found
        What `featstore.all_pairs` returned, or the runs.
    n_boot, seed
        Of the paired bootstrap; only of runs.
    ax
        Axes to draw on; a new figure by default.
    """
    labels: dict[str, str] = {}
    if not isinstance(found, AllPairs):
        named = named_runs(found)
        labels = {run.name: label for label, run in named.items()}
        found = all_pairs(named.values(), n_boot=n_boot, seed=seed)
    runs = found.runs
    names = [labels.get(name, name) for name in runs["run"]]
    groups = [[labels.get(name, name) for name in group] for group in found.groups]
    values = runs["value"].to_numpy()
    ax = _groups(names, values, groups, [f"{v:.1%}" for v in values], ax=ax)
    ax.hlines(
        range(len(runs)), runs["low"], runs["high"], color=BLUE, alpha=0.4, linewidth=points(3)
    )
    ax.xaxis.set_major_formatter(percent())
    label_x(ax, axis_name(found.metric))
    title(ax, f"{found.n} rows; a bar joins runs not told apart ({found.adjustment})")
    return ax


def _groups(
    names: list[str],
    places: NDArray[np.float64],
    groups: Sequence[Sequence[str]],
    labels: Sequence[str],
    *,
    ax: Axes | None,
) -> Axes:
    """Dots of members on lines of their own, and a vertical bar for each group of several."""
    joined = [group for group in groups if len(group) > 1]
    ax = row_axes(ax, names, width=4.4 + 0.25 * len(joined), height=1.2, row=0.32)
    grid(ax, "x")
    rows = range(len(names))
    ax.plot(places, rows, "o", color=BLUE, markersize=points(6))
    for row, place, label in zip(rows, places, labels, strict=True):
        ax.annotate(
            label,
            (place, row),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=points(8),
            color=ink(),
        )
    name_rows(ax, names)
    ax.margins(x=0.1)
    low, high = ax.get_xlim()
    step = 0.04 * (high - low)
    for number, group in enumerate(joined):
        members = [names.index(name) for name in group]
        at = high + step * (number + 1)
        ax.plot([at, at], [min(members), max(members)], color=ink(), linewidth=points(3), alpha=0.6)
        ax.plot([at] * len(members), members, "o", color=ink(), markersize=points(4))
    ax.set_xlim(low, high + step * (len(joined) + 1))
    return ax
