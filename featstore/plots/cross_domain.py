"""Cross-domain: a map of features against data sets, each column in its own range."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from featstore.cross_domain_table import CrossDomain
from featstore.plots.canvas import ORANGE, axes, ink, name_columns, points, text_width, title
from featstore.plots.confusion import BLUES


def cross_domain(table: CrossDomain | pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the values of features on data sets.

    Data sets are not equally hard: each column goes from its worst (pale) to its best value. The
    best is bold, what cannot be told from it has an equals sign, and a frame marks the data set
    that a feature was pretrained on.

    Parameters
    ----------
    table
        What `featstore.cross_domain` returned, or its cells: columns feature, dataset, value
        (NaN for a gap), alike, gap, in_domain.
    ax
        Axes to draw on; a new figure by default.

    Examples
    --------
    >>> cells = pd.DataFrame({"feature": ["a", "b"], "dataset": "birds", "value": [0.7, 0.6],
    ...                       "alike": [True, False], "gap": [0.0, 0.1], "in_domain": [None, True]})
    >>> [text.get_text() for text in cross_domain(cells).texts]
    ['70.0', '60.0']
    """
    cells = table if isinstance(table, pd.DataFrame) else table.cells
    features, datasets = list(cells["feature"].unique()), list(cells["dataset"].unique())
    wide = cells.pivot(index="feature", columns="dataset", values="value")
    values = wide.loc[features, datasets].to_numpy(float)
    shades = _within_columns(values)
    room = text_width(features)
    ax = axes(
        ax,
        width=1.2 + room + max(0.9 * len(datasets), 2.6),
        height=1.2 + 0.7 * text_width(datasets) + 0.45 * len(features),
        rows=True,
    )
    ax.imshow(shades, cmap=BLUES, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for cell in cells.to_dict("records"):
        row, column = features.index(cell["feature"]), datasets.index(cell["dataset"])
        gap = np.isnan(cell["value"])
        best = not gap and cell["gap"] == 0
        sign = " =" if not gap and cell["alike"] and not best else ""
        ax.annotate(
            "–" if gap else f"{100 * cell['value']:.1f}{sign}",
            (column, row),
            ha="center",
            va="center",
            fontsize=points(9),
            fontweight="bold" if best else "normal",
            color="white" if not gap and shades[row, column] >= 0.5 else ink(),
        )
        if cell["in_domain"] is True:
            frame = Rectangle(
                (column - 0.47, row - 0.45),
                0.94,
                0.9,
                fill=False,
                edgecolor=ORANGE,
                linewidth=points(1.5),
            )
            ax.add_patch(frame)
    name_columns(ax, datasets)
    ax.set_yticks(range(len(features)), features)
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    title(ax, "% on each data set; = not told from the best")
    return ax


def _within_columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place of each value between the worst (0) and the best (1) of its column."""
    low = np.fmin.reduce(values, axis=0)
    span = np.fmax.reduce(values, axis=0) - low
    places: NDArray[np.float64] = np.where(np.isnan(values), np.nan, 1.0)
    np.divide(values - low, span, out=places, where=span > 0)
    return places
