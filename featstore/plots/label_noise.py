"""Label noise: which labels are confidently something else."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from featstore.analysis.label_noise import LabelNoise
from featstore.plots.canvas import (
    BLUE,
    grid,
    ink,
    label_x,
    name_rows,
    points,
    row_axes,
    title,
)


def label_noise(
    noise: LabelNoise | pd.DataFrame,
    *,
    noise_rate: float | None = None,
    limit: int = 15,
    ax: Axes | None = None,
) -> Axes:
    """Draw the pairs of a label and a confident prediction with the most rows.

    Parameters
    ----------
    noise
        What `featstore.label_noise` returned; or its pairs: columns label, suggested, n.
    noise_rate
        Estimated share of wrong labels, for the title; that of the result by default.
    limit
        Pairs, at most.
    ax
        Axes to draw on; a new figure by default.

    Examples
    --------
    >>> import numpy as np
    >>> from featstore.predictions import Predictions
    >>> from featstore.analysis import label_noise as find
    >>> scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.95, 0.05]], np.float32)
    >>> run = Predictions(np.array(list("abcd")), ("cat", "dog"), np.array([0, 0, 1, 1]),
    ...                   scores, np.array([True, True]))
    >>> label_noise(find(run)).get_title(loc="left")
    'estimated share of wrong labels: 25.0%'
    """
    if isinstance(noise, pd.DataFrame):
        pairs = noise.head(limit)
    else:
        pairs = noise.joint.pairs().head(limit)
        noise_rate = noise.noise_rate if noise_rate is None else noise_rate
    names = [
        f"{label} → {to}" for label, to in zip(pairs["label"], pairs["suggested"], strict=True)
    ]
    spare = 0.26 * max(2 - len(names), 0)
    ax = row_axes(ax, names, width=3.4, height=1.1 + spare, row=0.26)
    grid(ax, "x")
    ax.barh(range(len(names)), pairs["n"], color=BLUE, height=0.7)
    for place, n in enumerate(pairs["n"]):
        ax.annotate(
            f"{n}",
            (n, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=points(9),
            color=ink(),
        )
    name_rows(ax, names)
    ax.set_xlim(0, 1.15 * max(pairs["n"].max(), 1) if len(pairs) else 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    label_x(ax, "rows that confidently belong elsewhere")
    if noise_rate is not None:
        title(ax, f"estimated share of wrong labels: {noise_rate:.1%}")
    return ax
