"""`featstore per-class`: which classes fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from featstore.cli.arguments import chosen_run, run_option, store_argument
from featstore.cli.output import echo_json, echo_table, json_option, records, with_interval

if TYPE_CHECKING:
    from featstore.ranking import Interpolation


@click.command()
@store_argument
@run_option
@click.option(
    "--sort",
    default="accuracy",
    show_default=True,
    help="Column to sort by, worst first; average_precision for multi-label runs.",
)
@click.option(
    "--interpolation",
    type=click.Choice(["all-points", "11-points"]),
    default="all-points",
    show_default=True,
    help="Of average precision (multi-label): as in scikit-learn, or in PASCAL VOC 2007.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Classes to show [default: all].")
@json_option
def command(
    store: str,
    run_name: str | None,
    sort: str,
    interpolation: Interpolation,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show accuracy, precision and recall of each class, with Wilson intervals.

    For a multi-label run: average precision with bootstrap intervals, and precision, recall and
    F1 at a probability of 0.5 and at the thresholds that validation rows chose.
    """
    from featstore.errors import InvalidInputError
    from featstore.store import FeatureStore
    from featstore.suggest import did_you_mean

    run = chosen_run(FeatureStore.open(store), run_name)
    frame = run.per_class(interpolation=interpolation)
    if run.predictions.multilabel and sort == "accuracy":
        sort = "average_precision"
    if sort not in frame:
        raise InvalidInputError(f"there is no column {sort!r}. {did_you_mean(sort, frame.columns)}")
    frame = frame.sort_values(sort, kind="stable", ignore_index=True)
    if as_json:
        echo_json({"run": run.name, "classes": records(frame)})
        return
    if not run.predictions.multilabel:
        # The recall of a class is its accuracy.
        frame = frame.drop(columns="recall")
    if "seen" in frame and frame["seen"].all():
        frame = frame.drop(columns="seen")
    rates = ["precision", "recall", "f1"]
    rates += [f"{rate}_tuned" for rate in rates] + ["accuracy", "average_precision"]
    if "low" in frame:
        frame = with_interval(frame)
        interval = frame.pop("95 % interval")
        metric = "average_precision" if run.predictions.multilabel else "accuracy"
        frame.insert(list(frame).index(metric) + 1, "95 % interval", interval)
    echo_table(frame, title=run.name, percent=rates, limit=limit)
