"""`featstore similarity`: how alike features are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

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
    from featstore.analysis.similarity import Measure

#: Rows for each column from which on correlations of unrelated features are small.
_ROWS_PER_COLUMN = 5
#: What fewer rows do to the measures that fit a map.
_WIDE = {"svcca": "high", "pwcca": "high", "r2": "low"}


@click.command()
@store_argument
@click.option("--features", "-f", help="Two or more: a,b[,c…] [default: all complete ones].")
@click.option("--split", help="Rows to look at [default: all].")
@click.option(
    "--measures",
    default="cka,mutual_knn,svcca,pwcca,r2",
    show_default=True,
    help="Some of these, or cka_biased.",
)
@click.option("--k", type=click.IntRange(min=1), default=10, show_default=True, help="Neighbours.")
@click.option(
    "--rows",
    "n_rows",
    type=click.IntRange(min=2),
    default=2048,
    show_default=True,
    help="Sample that neighbours are sought in.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the sample."
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SVG file for a map of the first measure.",
)
@json_option
def command(
    store: str,
    features: str | None,
    split: str | None,
    measures: str,
    k: int,
    n_rows: int,
    seed: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure how alike the features of a store are; no labels and no probes are needed.

    cka (unbiased linear CKA), mutual_knn (nearest neighbours in common), svcca, pwcca, and r2: how
    much of the column's feature a linear map of the row's predicts, cross-validated.

    \b
    featstore similarity birds.zarr --features resnet50,dinov2 --measures cka,r2
    """
    from featstore.analysis.similarity import DIRECTED
    from featstore.feature_similarity import similarity
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    names = None if features is None else _listed(features)
    asked = cast("list[Measure]", _listed(measures))
    frame = similarity(opened, names, split=split, measures=asked, k=k, n_rows=n_rows, seed=seed)
    if plot is not None:
        from featstore import plots

        write_figure(plot, plots.similarity(frame, asked[0]))
    if as_json:
        echo_json(records(frame))
        return
    order = list(frame["a"].unique())
    for measure in asked:
        table = frame[frame["measure"] == measure].pivot(index="a", columns="b", values="value")
        table = table.loc[order, order].reset_index(names="")
        how = " (row → column)" if measure in DIRECTED else ""
        echo_table(table.rename_axis(columns=None), title=f"{measure}{how}")
    n, dim = opened.view(order, split=split).shape
    if n < _ROWS_PER_COLUMN * dim and set(asked) & set(_WIDE):
        effects = " and ".join(f"{name} is {_WIDE[name]}" for name in asked if name in _WIDE)
        echo_note(
            f"{n} rows for features of {dim} columns together: with so few, {effects}, whatever "
            "the features"
        )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
