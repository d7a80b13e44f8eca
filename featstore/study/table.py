"""Tables of a study: metrics of its runs, and features against probes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from featstore.errors import InvalidInputError
from featstore.run_config import RunConfig
from featstore.stored_requests import run_fields
from featstore.study.plan import StudyPlan
from featstore.suggest import did_you_mean
from featstore.tables.leaderboard import seed_means, usual_metric

_RESULTS = (
    "store",
    "features",
    "probe",
    "target",
    "scaling",
    "subset",
    "seed",
    "run",
    "metric",
    "value",
    "low",
    "high",
    "n",
    "dim",
    "selected_on_test",
)
#: What tells cells of a table apart, beside the seed.
_KEYS = ("store", "target", "subset", "scaling", "features", "probe")


def results(plan: StudyPlan) -> pd.DataFrame:
    """Lay out the metrics of all runs that are there, read without their scores.

    Parameters
    ----------
    plan
        Of the study.

    Returns
    -------
    frame
        Columns store, features, probe, target, scaling, subset, seed, run, metric, value, low,
        high (the run's own bootstrap interval over test rows), n, dim (length of the feature
        vector) and selected_on_test (whether the reported rows chose the hyper-parameter).
    """
    found = {
        (location, name): (fields["metrics"], RunConfig.from_json(fields["config"]))
        for location, store in plan.stores.items()
        for name, fields in run_fields(store)
    }
    rows = []
    for planned in plan.cells:
        if planned.run is None or (planned.cell.store, planned.run) not in found:
            continue
        metrics, config = found[planned.cell.store, planned.run]
        told = {"dim": config.dim, "selected_on_test": config.selected_on_test}
        rows += [{**planned.cell.row(), "run": planned.run, **metric, **told} for metric in metrics]
    frame = pd.DataFrame(rows, columns=list(_RESULTS))
    return frame.astype(dict.fromkeys(("value", "low", "high"), float))


def pivot(frame: pd.DataFrame, *, metric: str | None = None) -> pd.DataFrame:
    """Average a metric over seeds, and mark the best features of every column.

    Parameters
    ----------
    frame
        Of `results`.
    metric
        ``top1``, or ``mAP`` for targets that have no top-1, by default.

    Returns
    -------
    frame
        Columns store, target, subset, scaling, features, probe, metric, value, low, high, seeds,
        spread, best.  `value`, `low` and `high` are means over seeds of the runs' values and of
        their intervals over test rows; `spread` is the standard deviation over seeds, NaN with
        one.  `best` marks the highest value among the features of the same store, target, subset,
        scaling and probe.

    Raises
    ------
    InvalidInputError
        If no run has the metric.
    """
    if metric is not None and len(frame) and metric not in set(frame["metric"]):
        known = sorted(set(frame["metric"]))
        raise InvalidInputError(f"no run has the metric {metric!r}. {did_you_mean(metric, known)}")
    chosen = usual_metric(frame) if metric is None else frame[frame["metric"] == metric]
    columns = [*_KEYS, "metric", "value", "low", "high", "seeds", "spread"]
    table = seed_means(chosen, [*_KEYS, "metric"])[columns]
    rivals = [key for key in _KEYS if key != "features"]
    best = table.groupby(rivals, dropna=False)["value"].transform("max")
    return table.assign(best=(table["value"] == best).to_numpy(bool))


def sheet(table: pd.DataFrame, *, bold: Sequence[str] = ("**", "**")) -> pd.DataFrame:
    """Lay a `pivot` out as text: a row for each features, a column for each probe.

    What is the same in all rows (one store, one target) is left out.

    Parameters
    ----------
    table
        Of `pivot`.
    bold
        What stands before and behind the best of a column.
    """
    numbers = table[["value", "low", "high", "spread"]].to_numpy(float)
    cells = [
        f"{bold[0] * best}{100 * value:.1f}{bold[1] * best} [{100 * low:.1f}, {100 * high:.1f}]"
        f"{_spread(spread)}"
        for best, (value, low, high, spread) in zip(
            table["best"].tolist(), numbers.tolist(), strict=True
        )
    ]
    table = table.assign(cell=cells)
    varying = [k for k in _KEYS[:4] if table[k].nunique(dropna=False) > 1]
    index = [*varying, "features"]
    order = {name: i for i, name in enumerate(dict.fromkeys(table["probe"]))}
    wide = table.pivot(index=index, columns="probe", values="cell")
    wide = wide[sorted(wide.columns, key=lambda name: order[name])].fillna("–")
    return wide.reset_index().rename_axis(columns=None)


def _spread(deviation: float) -> str:
    return "" if math.isnan(deviation) else f" ±{100 * deviation:.1f}"
