"""`featstore duplicates`: images that are nearly in two splits, or twice in one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featstore.cli.arguments import store_argument
from featstore.cli.output import (
    echo_json,
    echo_note,
    echo_table,
    json_option,
    records,
    write_figure,
)

if TYPE_CHECKING:
    from featstore.duplicate_search import Duplicates

_QUANTILES = (0.5, 0.95, 0.99, 1.0)


@click.command()
@store_argument
@click.option("--features", "-f", required=True, help="One feature, or several: a,b[,c…].")
@click.option("--in", "reference", default="train", show_default=True, help="Split to search in.")
@click.option(
    "--of",
    "searched",
    default="test",
    show_default=True,
    help="Split whose rows are searched for; the same for pairs within it.",
)
@click.option("--target", help="Label column to show beside pairs [default: the first].")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    help="Least cosine of a pair [default: as the data suggest].",
)
@click.option("--run", "run_name", help="A stored run: its metrics with and without duplicates.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Pairs to list."
)
@click.option("--max-memory", help='That the search may take, e.g. "2GB".')
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SVG file for the distances to the nearest rows.",
)
@json_option
def command(
    store: str,
    features: str,
    reference: str,
    searched: str,
    target: str | None,
    threshold: float | None,
    run_name: str | None,
    limit: int,
    max_memory: str | None,
    device: str,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Find near-duplicates between two splits, or within one.

    \b
    featstore duplicates birds.zarr -f resnet50 --run logistic-resnet50-species-1a2b3c
    featstore duplicates birds.zarr -f resnet50 --in train --of train
    """
    from featstore.duplicate_search import duplicates
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    found = duplicates(
        opened,
        [name.strip() for name in features.split(",") if name.strip()],
        reference=reference,
        searched=searched,
        target=target,
        threshold=threshold,
        device=device,
        max_memory=max_memory,
    )
    effect = None if run_name is None else found.effect(opened.run(run_name))
    if plot is not None:
        from featstore import plots

        write_figure(
            plot,
            plots.duplicates(
                found.similarities, threshold=found.threshold, suggested=found.suggested
            ),
        )
    if as_json:
        echo_json(
            {
                "reference": found.reference,
                "searched": found.searched,
                "n_reference": found.n_reference,
                "n_searched": found.n_searched,
                "threshold": found.threshold,
                "suggested": found.suggested,
                "duplicates": len(found.ids),
                "pairs": records(found.pairs),
                "nearest": records(found.nearest),
                "effect": None if effect is None else records(effect),
            }
        )
        return
    _show(found, limit)
    if effect is not None:
        percent = ["all", "without", "difference", "low", "high"]
        echo_table(effect, title=f"{run_name}, without them", percent=percent)


def _show(found: Duplicates, limit: int) -> None:
    import numpy as np
    import pandas as pd

    click.echo(
        f"{len(found.ids)} of {found.n_searched} rows of {found.searched} ({found.share:.2%}) have "
        f"a near-duplicate in {found.reference} ({found.n_reference} rows) at a cosine of "
        f"{found.threshold:.4g} or more"
    )
    groups = found.similarities.groupby("rows", sort=False)["similarity"]
    rows = [(name, *np.quantile(values, _QUANTILES)) for name, values in groups]
    columns = ["cosine to the nearest", "median", "95 %", "99 %", "largest"]
    echo_table(pd.DataFrame(rows, columns=columns))
    if math.isfinite(found.suggested):
        click.echo(f"suggested threshold: {found.suggested:.4f}")
    if len(found.pairs):
        echo_table(found.pairs, title="pairs", limit=limit)
    if "agree" in found.pairs:
        n = sum(agree is False for agree in found.pairs["agree"])
        if n:
            echo_note(f"{n} pairs have different labels")
    if found.capped:
        echo_note(f"{found.capped} rows have more duplicates than are listed")
