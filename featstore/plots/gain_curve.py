"""Gain curve: what each class wins or loses when one run replaces another (Fig. A4)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from featstore.analysis.compare import Comparison
from featstore.analysis.gains import Gains
from featstore.plots.canvas import (
    BLUE,
    INK,
    VERMILLION,
    axes,
    grid,
    name_rows,
    percent,
    text_width,
    title,
)
from featstore.plots.per_class import NAMED_CLASSES


def gain_curve(
    comparison: Comparison, *, chance: Gains | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the per-class gain of b over a, sorted, as Cole et al. (2022), Fig. A4.

    Parameters
    ----------
    comparison
        Of `featstore.analysis.compare`.
    chance
        Of `featstore.analysis.gains` on the same runs: the sorted curve that chance alone would
        give, as a grey band.
    ax
        Axes to draw on; a new figure by default.  Few classes get a named bar each.
    """
    frame = comparison.classes.dropna(subset="gain")
    frame = frame.sort_values("gain", ascending=False, kind="stable")
    gain, places = frame["gain"].to_numpy(), np.arange(len(frame))
    many = len(frame) > NAMED_CLASSES
    names = [f"{name} ({n:,})" for name, n in zip(frame["class"], frame["n"], strict=True)]
    ax = axes(
        ax,
        width=6.4 if many else 4.8 + text_width(names),
        height=3.6 if many else 1.3 + 0.24 * len(frame),
    )
    label = "gain in " + ("accuracy" if comparison.metric == "top1" else "average precision")
    points = percent(symbol=" pts")
    if many:
        grid(ax, "y")
        if chance is not None:
            low, high = (chance.curve[name] for name in ("null_low", "null_high"))
            ax.fill_between(places, low, high, step="mid", color=INK, alpha=0.35, linewidth=0)
        for side, colour in ((gain >= 0, BLUE), (gain <= 0, VERMILLION)):
            ax.fill_between(
                places, gain, where=side, step="mid", color=colour, alpha=0.4, linewidth=0
            )
            line = np.where(side, gain, np.nan)
            ax.step(places, line, where="mid", color=colour, linewidth=2)
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.set_xlabel(f"{len(frame):,} classes, largest gain first")
        ax.set_ylabel(label)
        ax.yaxis.set_major_formatter(points)
    else:
        grid(ax, "x")
        if chance is not None:
            low, high = (chance.curve[name] for name in ("null_low", "null_high"))
            ax.hlines(places, low, high, color=INK, alpha=0.35, linewidth=9)
        ax.barh(places, gain, color=np.where(gain >= 0, BLUE, VERMILLION).tolist(), height=0.7)
        ax.axvline(0, color=INK, linewidth=0.8)
        name_rows(ax, names)
        ax.set_xlabel(label)
        ax.xaxis.set_major_formatter(points)
    finding = (
        f"{comparison.share_improved:.0%} of classes improved, "
        f"{comparison.share_unchanged:.0%} unchanged, {comparison.share_harmed:.0%} harmed"
    )
    if chance is not None:
        shares = ", ".join(f"{share:.0%}" for share in chance.shares["null"])
        finding += f"\nby chance (grey): {shares}"
    title(ax, finding)
    return ax
