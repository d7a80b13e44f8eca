"""Tables of `featstore compare --seeds-and-draws`: what seeds and draws account for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd

from featstore.cli.output import (
    echo_json,
    echo_table,
    points,
    records,
    with_interval,
    write_figure,
)

if TYPE_CHECKING:
    from featstore.store import FeatureStore


def show_noise(
    store: FeatureStore, names: Sequence[str], plot: Path | None, options: dict[str, Any]
) -> None:
    """Take the scores of runs apart, and print or draw what was found."""
    from featstore import plots
    from featstore.many_runs import seeds_and_draws

    found = seeds_and_draws((store.run(name) for name in names), metric=options["metric"])
    if plot is not None:
        write_figure(plot, plots.seeds_and_draws(found, metric=options["metric"]))
    if options["as_json"]:
        tables = ("components", "features", "pairs", "scores")
        frames = {table: records(getattr(found, table)) for table in tables}
        echo_json({**vars(found), **frames})
        return
    parts = found.components
    sd = [
        f"{100 * value:.3f} [{100 * low:.3f}, {100 * high:.3f}]"
        for value, low, high in zip(parts["sd"], parts["low"], parts["high"], strict=True)
    ]
    table = pd.DataFrame(
        {
            "feature": parts["feature"],
            "component": parts["component"],
            "standard deviation, points": sd,
            "levels": parts["levels"],
        }
    )
    echo_table(with_interval(found.features), title="means over seeds and draws", percent=["mean"])
    echo_table(table, title="what scores owe to seed and draw")
    if len(found.pairs):
        pairs = found.pairs
        echo_table(
            pairs[["a", "b"]].assign(
                difference=points(pairs, "difference", "low", "high"),
                **{"one seed and draw": points(pairs, "difference", "one_low", "one_high")},
                verdict=pairs["verdict"],
            ),
            title="pairs; difference b - a in points",
        )
        click.echo(found.rule)
