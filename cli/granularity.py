"""`featstore granularity`: accuracy along a taxonomy."""

from __future__ import annotations

from typing import Literal

import click
import pandas as pd

from featstore.cli.arguments import chosen_taxonomy, store_argument
from featstore.cli.output import echo_json, echo_table, json_option, records, with_interval
from featstore.errors import InvalidInputError


@click.command()
@store_argument
@click.option("--taxonomy", required=True, help="A CSV file (class, parent levels …) or a name.")
@click.option("--run", "names", multiple=True, help="Repeat it; every single-label run by default.")
@click.option(
    "--rule",
    type=click.Choice(["argmax", "sum"]),
    default="argmax",
    show_default=True,
    help="Ancestor of the best class (the paper's), or best sum of probabilities.",
)
@click.option("--save", metavar="NAME", help="Keep the taxonomy in the store under this name.")
@json_option
def command(
    store: str,
    taxonomy: str,
    names: tuple[str, ...],
    rule: Literal["argmax", "sum"],
    save: str | None,
    as_json: bool,
) -> None:
    """Coarsen stored predictions and labels level by level, without training again.

    The table's first column is the class, the further ones its ancestors, finest first; the
    header names the levels.
    """
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    read = chosen_taxonomy(opened, taxonomy)
    runs = [opened.run(name) for name in names or opened.runs]
    if not names:
        covered = set(read.classes(read.levels[0]))
        runs = [run for run in runs if covered >= set(run.predictions.classes)]
    if not runs:
        raise InvalidInputError(
            f"no run in {store} has the classes of {taxonomy}; run `featstore probe` first, or "
            "name a run with --run to see what is missing"
        )
    frames = [run.granularity(read, rule=rule).assign(run=run.name) for run in runs]
    if save:
        opened.save_taxonomy(save, read)
    frame = pd.concat(frames, ignore_index=True)
    if as_json:
        echo_json(records(frame))
        return
    for run, part in zip(runs, frames, strict=True):
        table = with_interval(part)[["level", "n_classes", "accuracy", "95 % interval", "chance"]]
        echo_table(table, title=run.name, percent=["accuracy", "chance"])
    how = "ancestor of the best class" if rule == "argmax" else "best sum of probabilities"
    click.echo(f"rule {rule}: {how}; chance: always answering the most frequent class")
