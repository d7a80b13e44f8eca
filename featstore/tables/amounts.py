"""Tables of values against amounts: training labels, or shots."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from featstore.counts import count_name
from featstore.errors import InvalidInputError
from featstore.few_shot_result import FewShot
from featstore.metric_names import metric_name
from featstore.quantity_result import Quantity
from featstore.result_document import summary_of
from featstore.suggest import did_you_mean
from featstore.typeset import Column, Table


def quantity(
    results: Quantity | Sequence[Quantity] | pd.DataFrame, *, metric: str | None = None
) -> Table:
    """Tabulate quantity curves: a row for each feature and probe, a column for each size.

    Parameters
    ----------
    results
        Of `featstore.quantity`, one or several, or their summaries below each other.
    metric
        The first of the results by default.

    Returns
    -------
    table
        Means over draws in percent, with 95% t intervals; all labels have none.

    Raises
    ------
    InvalidInputError
        If the results lack the metric.

    References
    ----------
    Cole et al. (2022), When does contrastive visual representation learning work?, CVPR, Fig. 2.

    Examples
    --------
    >>> frame = pd.DataFrame({"feature": "resnet50", "probe": "logistic", "n": [500, 50_000],
    ...                       "metric": "top1", "mean": [0.4, 0.7], "low": [0.35, float("nan")],
    ...                       "high": [0.45, float("nan")]})
    >>> print(quantity(frame).to_markdown(notes=False, intervals="pm"))
    | feature | 500 | 50k |
    |---|--:|--:|
    | resnet50 | 40.0 ± 5.0 | 70.0 |
    """
    return _table(summary_of(results), "n", metric, header="training labels", name=count_name)


def few_shot(
    results: FewShot | Sequence[FewShot] | pd.DataFrame, *, metric: str | None = None
) -> Table:
    """Tabulate few-shot results: a row for each feature and probe, a column for each k.

    Parameters
    ----------
    results
        Of `featstore.few_shot` or `featstore.episodes`, one or several, or their summaries.
    metric
        The first of the results by default.

    Returns
    -------
    table
        Means over draws in percent, with 95% t intervals.

    Raises
    ------
    InvalidInputError
        If the results lack the metric.

    Examples
    --------
    >>> frame = pd.DataFrame({"feature": ["a", "b"], "probe": "centroid", "shots": 1,
    ...                       "metric": "top1", "mean": [0.4, 0.7], "low": [0.35, 0.6],
    ...                       "high": [0.45, 0.8]})
    >>> print(few_shot(frame).to_markdown(notes=False))
    | feature | 1 |
    |---|--:|
    | a | <u>40.0</u> [35.0, 45.0] |
    | b | **70.0** [60.0, 80.0] |
    """
    return _table(
        summary_of(results), "shots", metric, header="training images per class", name="{:,}".format
    )


def _table(
    summary: pd.DataFrame,
    amount: str,
    metric: str | None,
    *,
    header: str,
    name: Callable[[int], str],
) -> Table:
    needed = ("feature", "probe", "metric", "mean", "low", "high", amount)
    if missing := [column for column in needed if column not in summary]:
        raise InvalidInputError(
            f"no column {missing[0]!r}; the frame has {', '.join(map(str, summary.columns))}"
        )
    known = list(summary["metric"].unique())
    metric = metric or str(known[0] if known else "")
    if metric not in known:
        raise InvalidInputError(
            f"the results have no metric {metric!r}. {did_you_mean(str(metric), known)}"
        )
    chosen = summary[summary["metric"] == metric]
    keys = ["feature", "probe"]
    if chosen.duplicated([*keys, amount]).any():
        raise InvalidInputError(
            "two results are of the same feature and probe; rename one: change its column feature"
        )
    index = pd.MultiIndex.from_frame(chosen[keys].drop_duplicates())
    wide = chosen.pivot(index=keys, columns=amount, values=["mean", "low", "high"]).reindex(index)
    shown = ["feature", *(["probe"] if chosen["probe"].nunique() > 1 else [])]
    columns = [Column(name=key, values=tuple(index.get_level_values(key))) for key in shown]
    for size in sorted(chosen[amount].unique()):
        mean, low, high = (
            tuple(wide[part, size].astype(float)) for part in ("mean", "low", "high")
        )
        columns.append(
            Column(
                name=name(int(size)), values=mean, low=low, high=high, kind="share", best="highest"
            )
        )
    return Table(
        tuple(columns),
        title=f"{metric_name(metric)} in % by {header}",
        notes=("intervals: 95% t over draws of the training rows",),
    )
