"""Duplicates: how near rows are to their nearest, within a split and across two."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from featstore.duplicate_search import Duplicates
from featstore.plots.canvas import BLUE, INK, ORANGE, VERMILLION, axes, grid, percent, title

_NEAREST_SHOWN = 1e-4
_POINTS = 200


def duplicates(found: Duplicates, *, ax: Axes | None = None) -> Axes:
    """Draw the share of rows whose nearest row is at most so far away.

    The distance is 1 - cosine, on a logarithmic axis: copies stand out on the left, as a step that
    the reference split does not have.

    Parameters
    ----------
    found
        What `featstore.duplicates` returned.
    ax
        Axes to draw on; a new figure by default.
    """
    ax = axes(ax, width=4.8, height=3.2)
    grid(ax, "y")
    lines = [(found.within, BLUE, f"within {found.reference}")]
    if found.searched != found.reference:
        nearest = found.nearest["similarity"].to_numpy()
        lines.append((nearest, ORANGE, f"{found.searched} to {found.reference}"))
    for similarities, colour, label in lines:
        x, y = _curve(similarities)
        ax.plot(x, y, color=colour, linewidth=1.8, label=label)
    ax.axvline(
        1 - found.threshold, color=VERMILLION, linewidth=1, linestyle="--", label="threshold"
    )
    if np.isfinite(found.suggested):
        suggested = max(1 - found.suggested, _NEAREST_SHOWN)
        ax.axvline(suggested, color=INK, linewidth=1, linestyle=":", label="suggested")
    ax.set_xscale("log")
    ax.set_xlim(_NEAREST_SHOWN, 1.5)
    ax.set_ylim(0, 1)
    ax.tick_params(axis="x", which="minor", color=INK)
    ax.yaxis.set_major_formatter(percent())
    ax.set_xlabel("distance to the nearest row, 1 − cosine")
    ax.set_ylabel("rows")
    ax.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper left")
    title(ax, f"{len(found.ids)} of {found.n_searched} rows have a near-duplicate")
    return ax


def _curve(similarities: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distribution function of the distances, at places that are even on the axis."""
    distances = np.sort(1 - similarities.astype(np.float64))
    x = np.geomspace(_NEAREST_SHOWN, 1.5, _POINTS)
    return x, np.searchsorted(distances, x, side="right") / len(distances)
