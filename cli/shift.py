"""`featstore shift`: whether two splits are alike."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

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

#: Expected counts below this make a chi-square unreliable (Cochran 1954).
_LEAST_EXPECTED = 5


@click.command()
@store_argument
@click.option("--features", "-f", required=True, help="One feature, or several: a,b[,c…].")
@click.option("--from", "a", default="train", show_default=True, help="Split, or all.")
@click.option("--to", "b", default="test", show_default=True, help="Split, or all.")
@click.option("--other", help="Another store with the same features, whose split --to is.")
@click.option("--target", help="Label column [default: the first].")
@click.option(
    "--rows",
    "n_rows",
    type=click.IntRange(min=4),
    default=5000,
    show_default=True,
    help="Of each, at most: a random sample.",
)
@click.option(
    "--permutations",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Of the test by MMD.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of draws.")
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Classes to list."
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SVG file for the shares of the classes.",
)
@json_option
def command(
    store: str,
    features: str,
    a: str,
    b: str,
    other: str | None,
    target: str | None,
    n_rows: int,
    permutations: int,
    seed: int,
    device: str,
    limit: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure the shift between two splits: in features and in labels.

    \b
    featstore shift birds.zarr -f resnet50
    featstore shift birds.zarr -f resnet50 --from test --other wild.zarr --to all
    """
    from featstore.errors import InvalidInputError
    from featstore.split_shift import shift

    names = [name.strip() for name in features.split(",") if name.strip()]
    result = shift(
        store,
        names,
        a=None if a == "all" else a,
        b=None if b == "all" else b,
        other=other,
        target=target,
        n_rows=n_rows,
        n_permutations=permutations,
        seed=seed,
        device=device,
    )
    if plot is not None:
        from featstore import plots

        if result.labels is None:
            raise InvalidInputError(
                f"{result.a} and {result.b} have no labels to draw; leave --plot out"
            )
        write_figure(plot, plots.shift(result.labels, a=result.a, b=result.b))
    if as_json:
        document: dict[str, Any] = {"a": result.a, "b": result.b, "features": names}
        document |= {"n_a": result.n_a, "n_b": result.n_b, "measures": records(result.measures)}
        document["labels"] = None
        if result.labels is not None:
            fields = {
                field.name: getattr(result.labels, field.name)
                for field in dataclasses.fields(result.labels)
            }
            document["labels"] = fields | {"classes": records(result.labels.classes)}
        echo_json(document)
        return
    click.echo(f"a: {result.a}, {result.n_a} rows\nb: {result.b}, {result.n_b} rows")
    echo_table(result.measures, title="features")
    if result.labels is None:
        return
    labels = result.labels
    if labels.dof:
        click.echo(
            f"labels: chi-square {labels.chi2:.1f} with {labels.dof} degrees of freedom, "
            f"p = {labels.p:.3g}, Cramér's V = {labels.cramers_v:.3f}"
        )
        if labels.least_expected < _LEAST_EXPECTED:
            echo_note(
                f"a class is expected to have {labels.least_expected:.1f} rows in one of them: the "
                "p of the labels is rough"
            )
    gap = (labels.classes["share_b"] - labels.classes["share_a"]).abs()
    shown = labels.classes.loc[gap.sort_values(ascending=False, kind="stable").index]
    echo_table(shown, title="classes", percent=["share_a", "share_b"], limit=limit)
