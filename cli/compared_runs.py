"""Tables of `featstore compare` for many runs: each with each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featstore.cli.output import (
    echo_json,
    echo_note,
    echo_table,
    points,
    records,
    with_interval,
    write_figure,
)

if TYPE_CHECKING:
    from featstore.store import FeatureStore


def show_all_pairs(
    store: FeatureStore, names: Sequence[str], plot: Path | None, options: dict[str, Any]
) -> None:
    """Compare each run with each, and print or draw what was found."""
    from featstore import plots
    from featstore.many_runs import all_pairs

    found = all_pairs(
        (store.run(name) for name in names),
        metric=options["metric"],
        common=options["common"],
        test=options["test"],
        adjustment=options["adjustment"],
        seed=options["seed"],
    )
    if plot is not None:
        write_figure(plot, plots.pairwise_groups(found))
    if options["as_json"]:
        echo_json({**vars(found), "runs": records(found.runs), "pairs": records(found.pairs)})
        return
    shown = with_interval(found.runs).rename(columns={"value": found.metric})
    echo_table(shown, title="runs; a letter in common: not told apart", percent=[found.metric])
    pairs = found.pairs
    table = pairs[["a", "b"]].assign(
        difference=points(pairs, "difference", "low", "high"),
        p=pairs["p"],
        adjusted=pairs["p_adjusted"],
        verdict=["a is better" if yes else "not told apart" for yes in pairs["different"]],
    )
    echo_table(table, title="pairs; difference a - b in points", limit=50)
    click.echo(found.rule)
    if left_out := {name: n for name, n in found.left_out.items() if n}:
        told = ", ".join(f"{n} of {name}" for name, n in left_out.items())
        echo_note(f"compared on {found.n} common rows; rows left out: {told}")
