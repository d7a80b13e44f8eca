"""`featstore per-class`: which classes fail, which groups of them, and which a run gains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import pandas as pd

from featstore.cli.arguments import (
    chosen_run,
    chosen_run_name,
    chosen_taxonomy,
    run_option,
    store_argument,
)
from featstore.cli.class_gains import class_gains
from featstore.cli.curves import FIGURES, file_option
from featstore.cli.output import (
    echo_json,
    echo_table,
    json_option,
    records,
    with_interval,
    write_figure,
)
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from featstore.class_groups import ClassGroups
    from featstore.decisions import Outcomes
    from featstore.ranking import Interpolation
    from featstore.run import ProbeRun
    from featstore.taxonomy import Taxonomy


@click.command()
@store_argument
@run_option
@click.option("--against", metavar="RUN", help="What the run gains over this one, class by class.")
@click.option("--taxonomy", help="Average over its classes: a CSV or JSON file, or a stored name.")
@click.option(
    "--groups",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Average over the groups of a CSV file: class, then columns of groups.",
)
@click.option(
    "--level", metavar="NAME", help="Of --taxonomy, or column of --groups [default: the first]."
)
@click.option("--group", metavar="NAME", help="List the classes of this one only.")
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
@click.option("--limit", type=click.IntRange(min=1), help="Classes to show [default: all, or 10].")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap."
)
@file_option("--plot", "Draw classes, means, the gain curve, or the gains of groups", FIGURES)
@json_option
def command(
    store: str,
    run_name: str | None,
    against: str | None,
    taxonomy: str | None,
    groups: Path | None,
    level: str | None,
    group: str | None,
    sort: str,
    interpolation: Interpolation,
    limit: int | None,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Show how well each class is recognised, each group of classes, and what a run gains.

    Without more, accuracy, precision and recall of each class, with Wilson intervals; for a
    multi-label run average precision with bootstrap intervals, and precision, recall and F1 at a
    probability of 0.5 and at the thresholds that validation rows chose.

    \b
    featstore per-class birds.zarr --run dino
    featstore per-class birds.zarr --run dino --taxonomy species.csv --level order
    featstore per-class birds.zarr --run dino --against resnet50
    featstore per-class birds.zarr --run dino --against resnet50 --groups kinds.csv --level kind

    With --taxonomy or --groups, means over the classes of each group, and with a taxonomy whether
    mistakes stay among siblings. With --against, how many classes gain, beside what chance would
    give, which classes gain most, whether hard classes stay hard, and which groups gain.
    """
    from featstore.store import FeatureStore

    if taxonomy and groups:
        raise InvalidInputError("--taxonomy or --groups, not both: each says what the groups are")
    if (level or group) and not (taxonomy or groups):
        raise InvalidInputError("--level and --group need --taxonomy or --groups")
    opened = FeatureStore.open(store)
    if against is not None or ((taxonomy or groups) and group is None):
        name = chosen_run_name(opened, run_name)
        run = opened.outcomes(name)
        tree = chosen_taxonomy(opened, taxonomy) if taxonomy else None
        of_classes = _groups(run, tree, groups, level)
        if against is not None:
            baseline = opened.outcomes(against)
            document = class_gains(
                (against, baseline),
                (name, run),
                of_classes,
                group=group,
                limit=limit or 10,
                seed=seed,
                plot=plot,
                shown=not as_json,
            )
        else:
            document = _averages(
                name, run, tree, of_classes, seed=seed, plot=plot, shown=not as_json
            )
        if as_json:
            echo_json({"run": name, **document})
        return
    run_of_classes = chosen_run(opened, run_name)
    frame = run_of_classes.per_class(interpolation=interpolation, seed=seed)
    if group is not None:
        tree = chosen_taxonomy(opened, taxonomy) if taxonomy else None
        of_classes = _groups(run_of_classes.predictions, tree, groups, level)
        assert of_classes is not None
        frame = frame.iloc[of_classes.members(group)]
    if plot is not None:
        from featstore import plots

        write_figure(plot, plots.per_class(frame))
    _classes(run_of_classes, frame, sort=sort, limit=limit, as_json=as_json)


def _classes(
    run: ProbeRun, frame: pd.DataFrame, *, sort: str, limit: int | None, as_json: bool
) -> None:
    from featstore.suggest import did_you_mean

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


def _groups(
    run: Outcomes, taxonomy: Taxonomy | None, table: Path | None, level: str | None
) -> ClassGroups | None:
    from featstore.ancestors import read_ancestors
    from featstore.class_groups import ClassGroups

    if taxonomy is not None:
        return ClassGroups.from_taxonomy(taxonomy, level or taxonomy.levels[1], run.classes)
    if table is None:
        return None
    frame = read_ancestors(table)
    if len(frame.columns) < 2:
        raise InvalidInputError(f"{table} has one column; it needs the class, then its groups")
    return ClassGroups.from_frame(frame, level or str(frame.columns[1]), run.classes)


def _averages(
    name: str,
    run: Outcomes,
    taxonomy: Taxonomy | None,
    groups: ClassGroups | None,
    *,
    seed: int,
    plot: Path | None,
    shown: bool,
) -> dict[str, object]:
    from featstore import plots
    from featstore.analysis import class_averages, kin_confusion

    assert groups is not None
    averages = class_averages({name: run}, groups, seed=seed)
    document: dict[str, object] = {"averages": records(averages)}
    if plot is not None:
        write_figure(plot, plots.class_averages(averages))
    mistakes = None
    if taxonomy is not None and not run.multilabel:
        mistakes = kin_confusion(run, taxonomy, groups=groups)
        document["mistakes"] = records(mistakes)
    if shown:
        table = with_interval(averages.drop(columns=["run", "metric"]), "95 % over rows")
        table = table.rename(columns={"low_classes": "low", "high_classes": "high"})
        table = with_interval(table, "95 % over classes")
        echo_table(table, title=f"{name}: means over classes by {groups.name}", percent=["value"])
        if mistakes is not None:
            parents = taxonomy.levels[1] if taxonomy is not None else ""
            shares = ["share", "expected", "expected_uniform"]
            echo_table(
                with_interval(mistakes),
                title=f"mistakes; siblings share a class of {parents}",
                percent=shares,
            )
    return document
