"""Gain curve: what each class wins or loses when one run replaces another (Fig. A4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from featstore.analysis.compare import Comparison
from featstore.analysis.gains import Gains
from featstore.errors import InvalidInputError
from featstore.plots.canvas import (
    BLUE,
    VERMILLION,
    axes,
    grid,
    ink,
    label_x,
    legend_above,
    look,
    name_rows,
    percent,
    points,
    row_axes,
    title,
)
from featstore.plots.per_class import NAMED_CLASSES
from featstore.run_changes import Change, compared, named_changes


def gain_curve(
    changes: Change | Mapping[str, Change], *, chance: Gains | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the per-class gain of b over a, sorted, as Cole et al. (2022), Fig. A4.

    Several changes are lines against the share of the classes, each sorted by itself.

    Parameters
    ----------
    changes
        What `featstore.compare` returned, or its two runs, the baseline first; or several by name.
    chance
        Of `featstore.analysis.gains` on the same runs: the sorted curve that chance alone would
        give, as a grey band; of one change.
    ax
        Axes to draw on; a new figure by default.  Few classes get a named bar each.

    Raises
    ------
    InvalidInputError
        If there are no changes, or chance comes with several.

    Examples
    --------
    >>> from featstore.analysis.compare import compare
    >>> from featstore.decisions import Decisions
    >>> rows = np.arange(40)
    >>> a, b = (Decisions(rows.astype(str), ("cat", "dog"), rows % 2, called, np.ones(2, bool))
    ...         for called in (np.zeros(40, int), rows % 2))
    >>> gain_curve(compare(a, b)).get_title(loc="left")
    '50% of classes improved, 50% unchanged, 0% harmed'
    """
    if isinstance(changes, Mapping):
        if chance is not None:
            raise InvalidInputError("chance is that of one pair of runs; draw one change with it")
        return _several(named_changes(changes), ax=ax)
    comparison = compared(changes)
    frame = comparison.classes.dropna(subset="gain")
    frame = frame.sort_values("gain", ascending=False, kind="stable")
    gain, places = frame["gain"].to_numpy(), np.arange(len(frame))
    many = len(frame) > NAMED_CLASSES
    names = [f"{name} ({n:,})" for name, n in zip(frame["class"], frame["n"], strict=True)]
    if many:
        ax = axes(ax, width=6.4, height=3.6)
    else:
        ax = row_axes(ax, names, width=4.8, height=1.3, row=0.24)
    label = _label(comparison)
    in_points = percent(symbol=" pts")
    if many:
        grid(ax, "y")
        if chance is not None:
            low, high = (chance.curve[name] for name in ("null_low", "null_high"))
            ax.fill_between(places, low, high, step="mid", color=ink(), alpha=0.35, linewidth=0)
        for side, colour in ((gain >= 0, BLUE), (gain <= 0, VERMILLION)):
            ax.fill_between(
                places, gain, where=side, step="mid", color=colour, alpha=0.4, linewidth=0
            )
            line = np.where(side, gain, np.nan)
            ax.step(places, line, where="mid", color=colour, linewidth=points(2))
        ax.axhline(0, color=ink(), linewidth=points(0.8))
        label_x(ax, f"{len(frame):,} classes, largest gain first")
        ax.set_ylabel(label)
        ax.yaxis.set_major_formatter(in_points)
    else:
        grid(ax, "x")
        if chance is not None:
            low, high = (chance.curve[name] for name in ("null_low", "null_high"))
            ax.hlines(places, low, high, color=ink(), alpha=0.35, linewidth=points(9))
        ax.barh(places, gain, color=np.where(gain >= 0, BLUE, VERMILLION).tolist(), height=0.7)
        ax.axvline(0, color=ink(), linewidth=points(0.8))
        name_rows(ax, names)
        label_x(ax, label)
        ax.xaxis.set_major_formatter(in_points)
    finding = (
        f"{comparison.share_improved:.0%} of classes improved, "
        f"{comparison.share_unchanged:.0%} unchanged, {comparison.share_harmed:.0%} harmed"
    )
    if chance is not None:
        shares = ", ".join(f"{share:.0%}" for share in chance.shares["null"])
        finding += f"\nby chance (grey): {shares}"
    title(ax, finding)
    return ax


def _label(comparison: Comparison) -> str:
    return "gain in " + ("accuracy" if comparison.metric == "top1" else "average precision")


def _several(comparisons: Mapping[str, Comparison], *, ax: Axes | None) -> Axes:
    """Lines that share their axis however many classes each has."""
    gains = {
        name: np.sort(one.classes["gain"].dropna().to_numpy(float))[::-1]
        for name, one in comparisons.items()
    }
    labels = {
        name: f"{name} ({len(gain):,} classes, {(gain > 0).mean():.0%} improved)"
        for name, gain in gains.items()
    }
    ax = axes(ax, width=5.6, height=3.4, legend=list(labels.values()))
    grid(ax, "y")
    ax.axhline(0, color=ink(), linewidth=points(0.8))
    for number, (name, gain) in enumerate(gains.items()):
        drawing = look(number)
        # Each class has a step of its own width; markers tell lines apart in print.
        edges = np.linspace(0, 1, len(gain) + 1)
        ax.stairs(gain, edges, baseline=None, color=drawing["color"], linewidth=points(1.5))
        middles = (edges[1:] + edges[:-1]) / 2
        every = np.unique(np.linspace(0, len(gain) - 1, min(len(gain), 8)).astype(int))
        ax.plot(
            middles[every],
            gain[every],
            drawing["marker"],
            color=drawing["color"],
            markersize=points(5),
            label=labels[name],
        )
    ax.xaxis.set_major_formatter(percent())
    ax.yaxis.set_major_formatter(percent(symbol=" pts"))
    label_x(ax, "classes, largest gain first")
    ax.set_ylabel(_label(next(iter(comparisons.values()))))
    legend_above(ax)
    return ax
