"""Confusion: what the rows of each class were taken for."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba

from featstore.analysis.confusion import confusion as confused_pairs
from featstore.plots.canvas import (
    BLUE,
    VERMILLION,
    axes,
    grid,
    ink,
    label_x,
    name_columns,
    name_rows,
    percent,
    points,
    row_axes,
    text_width,
    title,
)
from featstore.predictions import Predictions
from featstore.run import ProbeRun

MATRIX_CLASSES = 30
NUMBERED_CLASSES = 15
PAIRS = 20

# Transparent at 0, to suit any ground.  The steep middle keeps numbers legible: gray ones on the
# pale half, white ones on the dark half.
BLUES = LinearSegmentedColormap.from_list(
    "featstore.blues",
    [
        (0.0, to_rgba(BLUE, 0)),
        (0.45, to_rgba(BLUE, 0.3)),
        (0.5, to_rgba(BLUE, 0.7)),
        (1.0, to_rgba(BLUE, 1)),
    ],
)


def confusion(run: Predictions | ProbeRun, *, ax: Axes | None = None) -> Axes:
    """Draw the confusion matrix, or the most confused pairs of many classes.

    Parameters
    ----------
    run
        A single-label run, or its predictions.
    ax
        Axes to draw on; a new figure by default.  Up to 30 classes give a matrix of the shares
        of each row, beyond the 20 most frequent confusions.

    Raises
    ------
    InvalidInputError
        As `featstore.analysis.confusion`.
    """
    predictions = run.predictions if isinstance(run, ProbeRun) else run
    pairs = confused_pairs(predictions)
    if predictions.n_classes > MATRIX_CLASSES:
        return _pairs(pairs.head(PAIRS), ax=ax)
    return _matrix(predictions, ax=ax)


def _matrix(predictions: Predictions, *, ax: Axes | None) -> Axes:
    c, names = predictions.n_classes, list(predictions.classes)
    counts = np.zeros((c, c))
    np.add.at(counts, (predictions.truth, predictions.predicted), 1)
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.zeros_like(counts), where=support > 0)
    room, cell = text_width(names), 0.38 if c <= NUMBERED_CLASSES else 0.24
    ax = axes(ax, width=1.8 + room + cell * c, height=1.2 + 0.7 * room + cell * c)
    ax.imshow(shares, cmap=BLUES, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    if c <= NUMBERED_CLASSES:
        for row, column in np.argwhere(counts):
            share = shares[row, column]
            ax.annotate(
                f"{100 * share:.0f}",
                (column, row),
                ha="center",
                va="center",
                fontsize=points(9),
                color="white" if share >= 0.5 else ink(),
            )
    name_columns(ax, names)
    ax.set_yticks(
        range(c), [f"{name} ({n:,.0f})" for name, n in zip(names, support[:, 0], strict=True)]
    )
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    label_x(ax, "predicted class")
    ax.set_ylabel("true class (test rows)")
    title(ax, "% of the rows of the true class")
    return ax


def _pairs(pairs: pd.DataFrame, *, ax: Axes | None) -> Axes:
    names = [f"{a} → {b}" for a, b in zip(pairs["class"], pairs["taken_for"], strict=True)]
    ax = row_axes(ax, names, width=4.8, height=1.3, row=0.26)
    grid(ax, "x")
    places = range(len(pairs))
    ax.barh(places, pairs["share"], color=VERMILLION, height=0.7)
    for place, share, n in zip(places, pairs["share"], pairs["n"], strict=True):
        ax.annotate(
            f"{n:,}",
            (share, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=points(9),
            color=ink(),
        )
    name_rows(ax, names)
    ax.margins(x=0.1)
    ax.xaxis.set_major_formatter(percent())
    label_x(ax, "share of the rows of the true class (beside the bar: rows)")
    title(ax, "most frequent confusions, true → predicted")
    return ax
