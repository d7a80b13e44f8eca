"""`featstore granularity`: accuracy along a taxonomy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import click
import pandas as pd

from featstore.cli.arguments import chosen_taxonomy, store_argument
from featstore.cli.output import echo_json, echo_table, json_option, records, with_interval
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from featstore.analysis import Comparison, GranularityGap
    from featstore.run import ProbeRun
    from featstore.store import FeatureStore
    from featstore.taxonomy import Taxonomy

Rule = Literal["argmax", "sum"]


@click.command()
@store_argument
@click.option(
    "--taxonomy",
    required=True,
    help="A CSV file (class, parent levels …), what `featstore taxonomy` wrote, or a stored name.",
)
@click.option("--run", "names", multiple=True, help="Repeat it; every single-label run by default.")
@click.option(
    "--rule",
    type=click.Choice(["argmax", "sum"]),
    default="argmax",
    show_default=True,
    help="Ancestor of the best class (the paper's), or best sum of probabilities.",
)
@click.option(
    "--primary-parents",
    is_flag=True,
    help="Keep one parent of each class [default: right if the ancestors meet].",
)
@click.option("--of", metavar="LEVEL", help="Level of the runs' classes [default: the finest].")
@click.option("--against", metavar="RUN", help="Show the gap to this run at each level.")
@click.option("--severity", is_flag=True, help="Show how far off the mistakes are.")
@click.option(
    "--trained",
    metavar="RUN",
    help="A run that was trained on the labels of --level: compare the coarsened runs to it.",
)
@click.option("--level", metavar="LEVEL", help="For --trained.")
@click.option("--save", metavar="NAME", help="Keep the taxonomy in the store under this name.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap."
)
@json_option
def command(
    store: str,
    taxonomy: str,
    names: tuple[str, ...],
    rule: Rule,
    primary_parents: bool,
    of: str | None,
    against: str | None,
    severity: bool,
    trained: str | None,
    level: str | None,
    save: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Coarsen stored predictions and labels level by level, without training again.

    The table's first column is the class, the further ones its ancestors, finest first; the
    header names the levels.

    \b
    featstore granularity birds.zarr --taxonomy species.csv
    featstore granularity birds.zarr --taxonomy species.csv --run RUN_B --against RUN_A --severity
    featstore granularity birds.zarr --taxonomy species.csv --save tree   # then --taxonomy tree
    """
    from featstore.store import FeatureStore

    if (trained is None) != (level is None):
        raise InvalidInputError("--trained RUN and --level LEVEL go together")
    opened = FeatureStore.open(store)
    read = chosen_taxonomy(opened, taxonomy)
    runs = _runs(opened, names, read, of, place=f"{store} has the classes of {taxonomy}")
    if save:
        opened.save_taxonomy(save, read)
    if primary_parents:
        read = read.primary()
    frames = {run.name: run.granularity(read, rule=rule, of=of, seed=seed) for run in runs}
    levels = pd.concat(
        [frame.assign(run=name) for name, frame in frames.items()], ignore_index=True
    )
    gaps = _gaps(opened, against, runs, read, rule=rule, of=of, seed=seed)
    severities = {run.name: run.severity(read, of=of, seed=seed) for run in runs if severity}
    comparisons = _trained(opened, trained, level, runs, read, rule=rule, of=of, seed=seed)
    if as_json:
        more = {
            "gaps": [
                {**vars(gap), "run": name, "against": against, "levels": records(gap.levels)}
                for name, gap in gaps.items()
            ],
            "severity": [
                {**row, "run": name} for name, frame in severities.items() for row in records(frame)
            ],
            "trained": [
                {**vars(found), "run": name, "trained": trained, "classes": records(found.classes)}
                for name, found in comparisons.items()
            ],
        }
        more = {key: value for key, value in more.items() if value}
        echo_json({"levels": records(levels), **more} if more else records(levels))
        return
    for name, frame in frames.items():
        table = with_interval(frame)[["level", "n_classes", "accuracy", "95 % interval", "chance"]]
        echo_table(table, title=name, percent=["accuracy", "chance"])
    how = "ancestor of the best class" if rule == "argmax" else "best sum of probabilities"
    click.echo(f"rule {rule}: {how}; chance: always answering the most frequent class")
    for name, gap in gaps.items():
        click.echo()
        percent = ["accuracy_a", "accuracy_b", "gap"]
        echo_table(with_interval(gap.levels), title=f"a: {against}\nb: {name}", percent=percent)
        click.echo(gap.finding)
    for name, frame in severities.items():
        click.echo()
        echo_table(frame, title=f"mistakes of {name}")
    for name, found in comparisons.items():
        gain = [f"{100 * value:+.2f}" for value in (found.difference, found.low, found.high)]
        click.echo(
            f"\na: {name}, coarsened to {level}\nb: {trained}, trained on {level}\n"
            f"top1: {found.value_a:.2%} → {found.value_b:.2%} on {found.n_common} rows\n"
            f"difference {gain[0]} points [{gain[1]}, {gain[2]}]"
        )


def _runs(
    store: FeatureStore, names: Sequence[str], taxonomy: Taxonomy, of: str | None, *, place: str
) -> list[ProbeRun]:
    """Load the named runs, or all whose classes the taxonomy has."""
    runs = [store.run(name) for name in names or store.runs]
    if not names:
        covered = set(taxonomy.classes(of or taxonomy.levels[0]))
        runs = [
            run
            for run in runs
            if not run.predictions.multilabel and covered >= set(run.predictions.classes)
        ]
    if not runs:
        raise InvalidInputError(
            f"no run in {place}; run `featstore probe` first, or name a run with --run to see what "
            "is missing"
        )
    return runs


def _gaps(
    store: FeatureStore,
    against: str | None,
    runs: Sequence[ProbeRun],
    taxonomy: Taxonomy,
    *,
    rule: Rule,
    of: str | None,
    seed: int,
) -> dict[str, GranularityGap]:
    """Compare each run to the baseline, level by level."""
    from featstore.run import granularity_gap

    if against is None:
        return {}
    baseline = store.run(against)
    return {
        run.name: granularity_gap(baseline, run, taxonomy, rule=rule, of=of, seed=seed)
        for run in runs
        if run.name != against
    }


def _trained(
    store: FeatureStore,
    trained: str | None,
    level: str | None,
    runs: Sequence[ProbeRun],
    taxonomy: Taxonomy,
    *,
    rule: Rule,
    of: str | None,
    seed: int,
) -> dict[str, Comparison]:
    """Compare a run that was trained on coarse labels to each run, coarsened."""
    from featstore.analysis import trained_coarse

    if trained is None or level is None:
        return {}
    coarse = store.run(trained).predictions
    return {
        run.name: trained_coarse(
            run.predictions, coarse, taxonomy, level, rule=rule, of=of, seed=seed
        )
        for run in runs
        if run.name != trained
    }
