"""Tables of `featstore compare --seeds-and-draws`: what seeds and draws account for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import pandas as pd

from featstore.cli.output import echo_json, echo_table, points, records, with_interval

if TYPE_CHECKING:
    from featstore.store import FeatureStore


def show_noise(store: FeatureStore, names: Sequence[str], options: dict[str, Any]) -> None:
    """Take the scores of runs apart, and print what was found."""
    from featstore.many_runs import seeds_and_draws

    found = seeds_and_draws((store.run(name) for name in names), metric=options["metric"])
    if options["as_json"]:
        frames = {
            name: records(getattr(found, name)) for name in ("components", "features", "pairs")
        }
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
