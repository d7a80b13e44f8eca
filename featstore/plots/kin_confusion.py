"""Where mistakes fall: among siblings, cousins or strangers, beside random mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.errors import InvalidInputError
from featstore.plots.canvas import (
    PALETTE,
    grid,
    ink,
    label_x,
    name_rows,
    percent,
    points,
    row_axes,
)
from featstore.run import ProbeRun
from featstore.taxonomy import Taxonomy


def kin_confusion(
    found: pd.DataFrame | ProbeRun,
    taxonomy: Taxonomy | str | Path | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw the shares of mistakes by kinship, with a tick where random mistakes would be.

    Parameters
    ----------
    found
        What `featstore.analysis.kin_confusion` returned, or the run.
    taxonomy
        Of the run, or a file of one.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If a run comes without a taxonomy.

    Examples
    --------
    >>> frame = pd.DataFrame({"group": "all", "relation": ["siblings", "strangers"],
    ...                       "mistakes": 40, "share": [0.7, 0.3], "low": [0.6, 0.2],
    ...                       "high": [0.8, 0.4], "expected": [0.1, 0.9]})
    >>> [label.get_text() for label in kin_confusion(frame).get_yticklabels()]
    ['all: siblings', 'all: strangers']
    """
    if isinstance(found, pd.DataFrame):
        frame = found
    elif taxonomy is None:
        raise InvalidInputError(
            "kinship is that of a taxonomy: pass one, such as store.taxonomy(name) or a file"
        )
    else:
        frame = found.kin_confusion(taxonomy)
    frame = frame.dropna(subset="share")
    names = [
        f"{group}: {kin}" for group, kin in zip(frame["group"], frame["relation"], strict=True)
    ]
    ax = row_axes(ax, names, width=4.8, height=1.2, row=0.26)
    grid(ax, "x")
    places = np.arange(len(frame))
    relations = list(frame["relation"].unique())
    colours = [PALETTE[relations.index(kin) % len(PALETTE)] for kin in frame["relation"]]
    ax.barh(places, frame["share"], color=colours, alpha=0.75, height=0.6)
    ax.hlines(places, frame["low"], frame["high"], color=ink(), linewidth=points(1.5))
    ax.plot(
        frame["expected"],
        places,
        "|",
        color=ink(),
        markersize=points(12),
        markeredgewidth=points(2),
    )
    name_rows(ax, names)
    ax.set_xlim(0, 1.02)
    label_x(ax, "share of the mistakes (tick: of random mistakes)")
    ax.xaxis.set_major_formatter(percent())
    return ax
