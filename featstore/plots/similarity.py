"""Similarity: a map of how alike every two features are."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.analysis.similarity import DIRECTED
from featstore.errors import InvalidInputError
from featstore.plots.canvas import axes, ink, label_x, name_columns, points, text_width, title
from featstore.plots.confusion import BLUES
from featstore.suggest import did_you_mean

_TITLES = {
    "cka": "linear CKA, unbiased",
    "cka_biased": "linear CKA, biased",
    "mutual_knn": "nearest neighbours in common",
    "svcca": "SVCCA",
    "pwcca": "PWCCA, weighted by the row's",
    "r2": "R² of a linear map, row → column",
}


def similarity(frame: pd.DataFrame, measure: str = "cka", *, ax: Axes | None = None) -> Axes:
    """Draw one measure of similarity between all features.

    Parameters
    ----------
    frame
        What `featstore.similarity` returned.
    measure
        Which of its measures.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If the frame does not have the measure.
    """
    known = list(frame["measure"].unique())
    if measure not in known:
        raise InvalidInputError(
            f"the frame has no measure {measure!r}. {did_you_mean(measure, known)}"
        )
    names = list(frame["a"].unique())
    chosen = frame[frame["measure"] == measure]
    values = chosen.pivot(index="a", columns="b", values="value").loc[names, names].to_numpy()
    np.fill_diagonal(values := values.copy(), np.nan)
    room = text_width(names)
    ax = axes(
        ax,
        width=1.0 + room + max(0.55 * len(names), 2.6),
        height=1.0 + 0.7 * room + 0.45 * len(names),
        rows=True,
    )
    ax.imshow(values, cmap=BLUES, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for row, column in np.argwhere(np.isfinite(values)):
        value = values[row, column]
        ax.annotate(
            f"{value:.2f}",
            (column, row),
            ha="center",
            va="center",
            fontsize=points(9),
            color="white" if value >= 0.5 else ink(),
        )
    name_columns(ax, names)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    if measure in DIRECTED:
        ax.set_ylabel("from")
        label_x(ax, "to")
    title(ax, _TITLES.get(measure, measure))
    return ax
