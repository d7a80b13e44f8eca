"""Corruption drop: what each corruption costs each feature (Fig. 4)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featstore.analysis.corruption_drop import CorruptionDrop
from featstore.errors import InvalidInputError
from featstore.metric_names import axis_name
from featstore.plots.canvas import (
    PALETTE,
    grid,
    ink,
    label_x,
    legend_above,
    name_rows,
    percent,
    points,
    row_axes,
)

_HATCHES = ("", "//", "..", "\\\\", "xx", "++")
_COLUMNS = ("feature", "corruption", "drop", "low", "high")


def corruption_drop(
    found: CorruptionDrop | Mapping[str, CorruptionDrop] | pd.DataFrame,
    *,
    metric: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the decrease of the metric as bars, a group for every corruption.

    Parameters
    ----------
    found
        What `featstore.corruption_drop` returned, or several by the names of their features; or a
        frame with the columns feature, corruption, drop, low, high.
    metric
        Names the axis; that of the results by default, of a frame top1.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If a column is missing.

    Examples
    --------
    >>> frame = pd.DataFrame({"feature": "resnet50", "corruption": ["jpeg10", "downsample4"],
    ...                       "drop": [0.1, 0.3], "low": [0.08, 0.27], "high": [0.12, 0.33]})
    >>> [label.get_text() for label in corruption_drop(frame).get_yticklabels()]
    ['jpeg10', 'downsample4']
    """
    frame = found if isinstance(found, pd.DataFrame) else _joined(found)
    if metric is None:
        metric = str(frame["metric"].iloc[0]) if "metric" in frame and len(frame) else "top1"
    if missing := [column for column in _COLUMNS if column not in frame]:
        raise InvalidInputError(f"no column {missing[0]!r}; the frame has {list(frame.columns)}")
    names = [str(name) for name in frame["corruption"].unique()]
    features = [str(name) for name in frame["feature"].unique()]
    height = 0.8 / len(features)
    legend = features if len(features) > 1 else []
    row = 0.16 + 0.16 * len(features)
    ax = row_axes(ax, names, width=4.8, height=1.2, row=row, legend=legend)
    grid(ax, "x")
    for i, feature in enumerate(features):
        own = frame[frame["feature"] == feature].set_index("corruption")
        places = np.asarray([names.index(str(name)) for name in own.index])
        places = places + (i - (len(features) - 1) / 2) * height
        ax.barh(
            places,
            own["drop"],
            height=0.9 * height,
            color=PALETTE[i % len(PALETTE)],
            hatch=_HATCHES[i % len(_HATCHES)],
            edgecolor="white",
            linewidth=0,
            label=feature,
        )
        ax.hlines(places, own["low"], own["high"], color=ink(), linewidth=points(1.5))
    ax.axvline(0, color=ink(), linewidth=points(0.8))
    name_rows(ax, names)
    ax.xaxis.set_major_formatter(percent(symbol=" pts"))
    label_x(ax, f"decrease of {axis_name(metric)}")
    if len(features) > 1:
        legend_above(ax)
    return ax


def _joined(found: CorruptionDrop | Mapping[str, CorruptionDrop]) -> pd.DataFrame:
    named = dict(found) if isinstance(found, Mapping) else {"": found}
    if not named:
        raise InvalidInputError("there are no drops to draw")
    frames = [one.drops.assign(feature=name, metric=one.metric) for name, one in named.items()]
    return pd.concat(frames, ignore_index=True)
