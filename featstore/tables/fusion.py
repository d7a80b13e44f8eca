"""Fusion: members, pairs and controls, with what a pair gains over its better member."""

from __future__ import annotations

import pandas as pd

from featstore.fusion_table import FusionTable
from featstore.metric_names import metric_name
from featstore.typeset import Column, Table

_CONTROLS = {"projection": "{best} + its random projection", "pca": "PCA of {a} + {b}"}


def fusion(found: FusionTable, *, controls: bool = True) -> Table:
    """Tabulate what `featstore.fusion` found.

    Parameters
    ----------
    found
        Its result.
    controls
        Whether controls have rows, where there are any.

    Returns
    -------
    table
        Members, below a line pairs, below another one controls: features, dim, the metric in
        percent, gain over the better member in points with its paired interval, verdict.

    References
    ----------
    Cole et al. (2022), When does contrastive visual representation learning work?, CVPR, Table 3.

    Examples
    --------
    >>> pairs = pd.DataFrame({"a": ["x"], "b": ["y"], "dim_a": 8, "dim_b": 4, "dim": 12,
    ...                       "score_a": 0.7, "score_b": 0.6, "score": 0.75, "best": "x",
    ...                       "gain": 0.05, "low": 0.03, "high": 0.07, "verdict": "complementary"})
    >>> print(fusion(FusionTable("top1", pairs, pd.DataFrame(), 0.0, 0.95)).to_frame()["top-1"])
    0    0.70
    1    0.60
    2    0.75
    Name: top-1, dtype: float64
    """
    pairs = found.pairs
    members = pd.concat(
        [
            pairs[[side, f"dim_{side}", f"score_{side}"]].set_axis(
                ["features", "dim", "score"], axis=1
            )
            for side in ("a", "b")
        ]
    ).drop_duplicates("features")
    fused = pairs.assign(features=pairs["a"] + " + " + pairs["b"])
    parts = [members, fused]
    if controls and len(found.controls):
        best = pairs.set_index(["a", "b"])["best"]
        rows = found.controls.to_dict("records")
        names = [
            _CONTROLS[row["control"]].format(a=row["a"], b=row["b"], best=best[row["a"], row["b"]])
            for row in rows
        ]
        parts.append(found.controls.assign(features=names))
    shown = ["features", "dim", "score", "gain", "low", "high", "verdict"]
    frame = pd.concat([part.reindex(columns=shown) for part in parts], ignore_index=True)
    lengths = [len(part) for part in parts]
    first_control = lengths[0] + lengths[1]
    columns = (
        Column(name="features", values=tuple(frame["features"])),
        Column(name="dim", values=tuple(frame["dim"]), kind="count"),
        Column(
            name=metric_name(found.metric),
            values=tuple(frame["score"].astype(float)),
            kind="share",
            best="highest",
            unranked=tuple(range(first_control, len(frame))),
        ),
        Column(
            name="gain",
            values=tuple(frame["gain"].astype(float)),
            low=tuple(frame["low"].astype(float)),
            high=tuple(frame["high"].astype(float)),
            kind="points",
            gap="",
        ),
        Column(name="verdict", values=tuple(frame["verdict"]), gap=""),
    )
    return Table(
        columns,
        title=f"{metric_name(found.metric)} in %, gain over the better member in points",
        notes=(f"intervals: {found.level:.0%} paired bootstrap over test rows", found.rule),
        rules=(lengths[0], *((first_control,) if len(parts) > 2 else ())),
    )
