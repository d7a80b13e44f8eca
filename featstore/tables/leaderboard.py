"""Leaderboard: features against probes, targets, stores or metrics, from stored runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from featstore.errors import InvalidInputError
from featstore.metric_names import metric_name
from featstore.suggest import did_you_mean
from featstore.tables.run_rows import KEYS, RunSource, run_rows
from featstore.typeset import Column, Table

Uncertainty = Literal["rows", "seeds"]
"""``"rows"``: bootstrap interval over test rows; ``"seeds"``: ± the standard deviation over
seeds."""

_ACROSS = ("store", "target", "probe")
_ASIDE = ("scaling", "tested_on", "subset")
_HEADERS = {"tested_on": "tested on"}
_SELECTED = "†"


def leaderboard(
    source: RunSource,
    *,
    metric: str | None = None,
    columns: Sequence[str] | str | None = None,
    dims: bool = False,
    order: Literal["best", "given"] = "best",
    uncertainty: Uncertainty = "rows",
) -> Table:
    r"""Tabulate runs: a row for each features, a column for each probe, target or store.

    Parameters
    ----------
    source
        Stores, runs, or a frame of metrics; see `featstore.tables.run_rows.run_rows`.
    metric
        ``top1``, or ``mAP`` for targets that have no top-1, by default.
    columns
        What varies from column to column: some of store, target, probe, scaling, subset,
        tested_on, features and metric (then of all metrics, or those named by `metric`); by
        default those of store, target and probe that are not the same in all runs.  What else
        varies stands in front of the rows.
    dims
        Whether a column has the length of the feature vector.
    order
        ``"best"``: by the first column, the best on top; ``"given"``: as the runs come.
    uncertainty
        See `Uncertainty`.  Runs that differ in nothing but their seed are averaged, and with
        ``"rows"`` so are the bounds of their intervals.

    Returns
    -------
    table
        Values in percent.  A dagger says that the reported rows chose the hyper-parameter.

    Raises
    ------
    InvalidInputError
        If no run has the metric, a column is unknown, or several runs of one seed fit one cell.

    References
    ----------
    Cole et al. (2022), When does contrastive visual representation learning work?, CVPR, Tables
    1, 2 and A3.

    Examples
    --------
    >>> frame = pd.DataFrame({"features": ["resnet50", "dinov2"], "probe": "knn", "metric": "top1",
    ...                       "value": [0.71, 0.84], "low": [0.69, 0.82], "high": [0.73, 0.86]})
    >>> print(leaderboard(frame).to_latex().splitlines()[5])
    dinov2 & \textbf{84.0}$_{\pm 2.0}$ \\
    """
    frame = _chosen(run_rows(source), metric, by_metric="metric" in _listed(columns))
    keys = [*KEYS, "metric"]
    across = _across(frame, columns)
    varying = [key for key in KEYS if key not in across and frame[key].nunique() > 1]
    settled = _settled(frame, varying)
    rows = [key for key in varying if key not in (*settled, "features")]
    rows += ["features"] * ("features" not in across)
    cells = seed_means(frame, keys)
    _check_alone(frame, cells, keys, rows, across)
    index = cells[rows].drop_duplicates()
    found = [
        _column(cells, index, rows, across, named, uncertainty)
        for named in _in_order(cells[across]).to_dict("records")
    ]
    if order == "best":
        places = np.argsort(
            [np.nan if v is None else -v for v in found[0].values], kind="stable"
        ).tolist()
    else:
        places = list(range(len(index)))
    names = [
        Column(name=_HEADERS.get(key, key), values=tuple(index[key].iloc[places])) for key in rows
    ]
    if dims:
        size = cells.drop_duplicates(rows).set_index(rows)["dim"] if rows else cells["dim"]
        names.append(Column(name="dim", values=tuple(size.iloc[places]), kind="count"))
    return Table(
        (*names, *(_ordered(column, places) for column in found)),
        title=_title(frame, across),
        notes=(*_notes(cells, uncertainty), *settled.values()),
    )


def seed_means(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Average values and the bounds of their intervals over runs that share all keys.

    Parameters
    ----------
    frame
        Columns `keys`, value, low, high.
    keys
        What tells cells apart.

    Returns
    -------
    means
        Columns `keys`, value, low, high, seeds (their number) and spread (standard deviation over
        them, NaN with one), in the order of the frame; with the first of its other columns.
    """
    groups = frame.groupby(list(keys), sort=False, dropna=False)
    means = groups.first()
    means[["value", "low", "high"]] = groups[["value", "low", "high"]].mean()
    return means.assign(seeds=groups.size(), spread=groups["value"].std()).reset_index()


def usual_metric(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep top1 of the runs that have it, and mAP of the others."""
    usual = np.where(
        frame.groupby(["store", "run"])["metric"].transform(lambda names: "top1" in set(names)),
        "top1",
        "mAP",
    )
    return frame[frame["metric"] == usual]


def _listed(columns: Sequence[str] | str | None) -> list[str]:
    return [columns] if isinstance(columns, str) else list(columns or ())


def _chosen(frame: pd.DataFrame, metric: str | None, *, by_metric: bool) -> pd.DataFrame:
    if metric is None:
        return frame if by_metric else usual_metric(frame)
    known = list(frame["metric"].unique())
    if metric not in known:
        raise InvalidInputError(f"no run has the metric {metric!r}. {did_you_mean(metric, known)}")
    return frame[frame["metric"] == metric]


def _across(frame: pd.DataFrame, columns: Sequence[str] | str | None) -> list[str]:
    """Keys that tell columns apart, the metric last: it names a column where nothing else does."""
    if columns is None:
        chosen = [key for key in _ACROSS if frame[key].nunique() > 1]
    else:
        chosen = _listed(columns)
        known = [*KEYS, "metric"]
        if wrong := [key for key in chosen if key not in known]:
            raise InvalidInputError(
                f"columns cannot be told apart by {wrong[0]!r}. {did_you_mean(wrong[0], known)}"
            )
    return [*(key for key in chosen if key != "metric"), "metric"]


def _settled(frame: pd.DataFrame, varying: Sequence[str]) -> dict[str, str]:
    """Find what another key decides, such as the scaling that goes with a probe, in words."""
    found = {}
    for key in (key for key in _ASIDE if key in varying):
        for by in ("probe", "target", "store"):
            values = frame.groupby(by, sort=False)[key].unique()
            if (values.map(len) == 1).all():
                words = ", ".join(f"{name} {value[0]}" for name, value in values.items())
                found[key] = f"{_HEADERS.get(key, key)}: {words}"
                break
    return found


def _in_order(named: pd.DataFrame) -> pd.DataFrame:
    """Sort columns so that those under one header are neighbours, else as they first came."""
    distinct = named.drop_duplicates()
    codes = pd.DataFrame({key: pd.factorize(distinct[key])[0] for key in named})
    return distinct.iloc[np.lexsort(codes.to_numpy().T[::-1])]


def _check_alone(
    frame: pd.DataFrame,
    cells: pd.DataFrame,
    keys: Sequence[str],
    rows: Sequence[str],
    across: Sequence[str],
) -> None:
    again = frame.duplicated([*keys, "seed"], keep=False)
    if again.any():
        names = frame.loc[again, "run"].unique()
        raise InvalidInputError(
            f"{len(names)} runs fit one cell of the table: {', '.join(names[:5])}; choose some of "
            "them, or name them in a mapping"
        )
    if cells.duplicated([*rows, *across]).any():
        shown = (*rows, *across)
        other = [key for key in KEYS if key not in shown and cells[key].nunique() > 1]
        raise InvalidInputError(
            f"the runs differ in {', '.join(other)} as well; put it into `columns`"
        )


def _column(
    cells: pd.DataFrame,
    index: pd.DataFrame,
    rows: Sequence[str],
    across: Sequence[str],
    named: dict[object, object],
    uncertainty: Uncertainty,
) -> Column:
    mine = cells[(cells[list(across)] == pd.Series(named)).all(axis=1)]
    joined = index.merge(mine, on=list(rows), how="left") if rows else mine
    value = joined["value"].to_numpy(float)
    low, high = joined["low"].to_numpy(float), joined["high"].to_numpy(float)
    if uncertainty == "seeds":
        spread = joined["spread"].to_numpy(float)
        low, high = value - spread, value + spread
    chosen = joined["selected_on_test"].fillna(False).astype(bool)
    metric = metric_name(str(named["metric"]))
    words = [str(named[key]) for key in across if key != "metric"]
    several = cells["metric"].nunique() > 1 and words
    bounded = bool(np.isfinite(low).any())
    return Column(
        name=f"{words[-1]} ({metric})" if several else (words[-1] if words else metric),
        group=", ".join(words[:-1]),
        values=tuple(None if np.isnan(v) else float(v) for v in value),
        low=tuple(low.tolist()) if bounded else (),
        high=tuple(high.tolist()) if bounded else (),
        kind="share",
        best="highest",
        signs=tuple(_SELECTED if one else "" for one in chosen) if chosen.any() else (),
    )


def _ordered(column: Column, places: Sequence[int]) -> Column:
    moved: dict[str, Any] = {
        name: tuple(getattr(column, name)[place] for place in places)
        for name in ("values", "low", "high", "signs")
        if getattr(column, name)
    }
    return dataclasses.replace(column, **moved)


def _title(frame: pd.DataFrame, across: Sequence[str]) -> str:
    metrics = [metric_name(name) for name in frame["metric"].unique()]
    same = [
        f"{_HEADERS.get(key, key)} {frame[key].iloc[0]}"
        for key in KEYS
        if frame[key].nunique() == 1
        and frame[key].iloc[0] not in ("", "all", "none")
        and key not in across
        and key != "features"
    ]
    named = ", ".join(metrics) if len(metrics) < 3 else "metrics"
    return f"{named} in %" + (f"; {', '.join(same)}" if same else "")


def _notes(cells: pd.DataFrame, uncertainty: Uncertainty) -> list[str]:
    notes = []
    several = int(cells["seeds"].max())
    if uncertainty == "seeds":
        if several < 2:
            raise InvalidInputError(
                "no two runs differ in their seed alone, and one run has no deviation over seeds; "
                'take uncertainty="rows"'
            )
        notes.append(f"means and standard deviations over {several} seeds")
    elif cells["low"].notna().any():
        over = f"; means over {several} seeds" if several > 1 else ""
        notes.append(f"intervals: 95% bootstrap over test rows{over}")
    if cells["selected_on_test"].any():
        notes.append(f"{_SELECTED}: hyper-parameter selected on the reported rows")
    return notes
