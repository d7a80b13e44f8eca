"""Duplicates: how near rows are to their nearest, within a split and across two."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.duplicate_search import Duplicates
from featstore.errors import InvalidInputError
from featstore.plots.canvas import (
    PALETTE,
    VERMILLION,
    axes,
    grid,
    ink,
    label_x,
    legend_inside,
    percent,
    points,
    title,
)

_NEAREST_SHOWN = 1e-4
_POINTS = 200


def duplicates(
    found: pd.DataFrame | Duplicates,
    *,
    threshold: float | None = None,
    suggested: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of rows whose nearest row is at most so far away.

    The distance is 1 - cosine, on a logarithmic axis: copies stand out on the left, as a step that
    the reference split does not have.

    Parameters
    ----------
    found
        What `featstore.duplicates` returned; or a frame with the columns rows (in words, a line for
        each) and similarity, as of `Duplicates.similarities`.
    threshold, suggested
        Cosines to mark; those of the result by default.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If a column or all rows are missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"rows": ["train"] * 3, "similarity": [0.7, 0.8, 0.999]})
    >>> duplicates(frame, threshold=0.95).get_title(loc="left")
    'train: 33.3% of rows at 0.95 or more'
    """
    frame = found if isinstance(found, pd.DataFrame) else found.similarities
    if not isinstance(found, pd.DataFrame):
        threshold = found.threshold if threshold is None else threshold
        suggested = found.suggested if suggested is None else suggested
    if not {"rows", "similarity"} <= set(frame) or frame.empty:
        raise InvalidInputError(
            f"columns rows and similarity are needed, and a row; the frame has {list(frame)} and "
            f"{len(frame)} rows"
        )
    ax = axes(ax, width=4.8, height=3.2)
    grid(ax, "y")
    x = np.geomspace(_NEAREST_SHOWN, 1.5, _POINTS)
    shares = []
    for (name, part), colour in zip(frame.groupby("rows", sort=False), PALETTE, strict=False):
        distances = np.sort(1 - part["similarity"].to_numpy(np.float64))
        y = np.searchsorted(distances, x, side="right") / len(distances)
        ax.plot(x, y, color=colour, linewidth=points(1.8), label=str(name))
        if threshold is not None:
            shares.append((str(name), float((part["similarity"] >= threshold).mean())))
    if threshold is not None:
        mark = max(1 - threshold, _NEAREST_SHOWN)
        ax.axvline(mark, color=VERMILLION, linewidth=points(1), linestyle="--", label="threshold")
        title(ax, f"{shares[-1][0]}: {shares[-1][1]:.1%} of rows at {threshold:.3g} or more")
    if suggested is not None and np.isfinite(suggested) and suggested != threshold:
        mark = max(1 - suggested, _NEAREST_SHOWN)
        ax.axvline(mark, color=ink(), linewidth=points(1), linestyle=":", label="suggested")
    ax.set_xscale("log")
    ax.set_xlim(_NEAREST_SHOWN, 1.5)
    ax.set_ylim(0, 1)
    ax.tick_params(axis="x", which="minor", color=ink())
    ax.yaxis.set_major_formatter(percent())
    label_x(ax, "distance to the nearest row, 1 − cosine")
    ax.set_ylabel("rows")
    legend_inside(ax, "upper left")
    return ax
