"""Per class: how well runs recognise each class."""

from __future__ import annotations

from typing import Literal

import numpy as np

from featstore.errors import InvalidInputError
from featstore.metric_names import metric_name
from featstore.run_labels import Runs, named_runs
from featstore.typeset import Column, Table


def per_class(
    runs: Runs,
    *,
    order: Literal["given", "best", "worst"] = "given",
    limit: int | None = None,
    n_boot: int = 1000,
    seed: int = 0,
) -> Table:
    """Tabulate the accuracy, or average precision, of each class.

    Parameters
    ----------
    runs
        Of one target: one, several, or several by name.
    order
        Of the classes: as the target has them, or by the first run's values.
    limit
        Classes at most; all by default.
    n_boot, seed
        Of the intervals of average precision; those of accuracy are Wilson's.

    Returns
    -------
    table
        A row for each class with its number of test rows, a column for each run, in percent.

    Raises
    ------
    InvalidInputError
        If the runs have different classes.
    """
    named = named_runs(runs)
    frames = {
        name: run.per_class(n_boot=n_boot, seed=seed).set_index("class")
        for name, run in named.items()
    }
    label, first = next(iter(frames.items()))
    if other := [name for name, frame in frames.items() if set(frame.index) != set(first.index)]:
        raise InvalidInputError(
            f"{other[0]!r} has other classes than {label!r}; only runs of one target share a table"
        )
    metric = "accuracy" if "accuracy" in first else "average_precision"
    value = first[metric].to_numpy(float)
    if order != "given":
        first = first.iloc[np.argsort(-value if order == "best" else value, kind="stable")]
    classes = list(first.index)[:limit]
    columns = [
        Column(name="class", values=tuple(classes)),
        Column(name="n", values=tuple(first.loc[classes, "n"]), kind="count"),
    ]
    for name, frame in frames.items():
        rows = frame.loc[classes]
        columns.append(
            Column(
                name=name,
                values=tuple(rows[metric].astype(float)),
                low=tuple(rows["low"].astype(float)),
                high=tuple(rows["high"].astype(float)),
                kind="share",
            )
        )
    interval = "Wilson's" if metric == "accuracy" else "bootstrap over test rows"
    rows_of = "test rows" if metric == "accuracy" else "positives"
    return Table(
        tuple(columns),
        title=f"{metric_name(metric)} of each class in %",
        notes=(f"n: {rows_of} of {label}; intervals: 95% {interval}",),
    )
