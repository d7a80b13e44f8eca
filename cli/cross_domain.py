"""`featstore cross-domain`: features against data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featstore.cli.arguments import named_words
from featstore.cli.output import (
    echo_json,
    echo_note,
    echo_table,
    json_option,
    records,
    write_figure,
)
from featstore.errors import InvalidInputError
from featstore.new_file import new_file
from featstore.registry import PROBES

if TYPE_CHECKING:
    from featstore.analysis.critical_difference import CriticalDifference
    from featstore.cross_domain_table import CrossDomain

_WRITERS = {".csv", ".md", ".tex"}


@click.command()
@click.argument("stores", nargs=-1, required=True, metavar="[NAME=]STORE...")
@click.option("--features", "-f", multiple=True, help="A row; repeat it. [default: all features]")
@click.option("--fuse", multiple=True, help="Features of one row: a,b[,c…]; repeat it.")
@click.option("--target", "targets", multiple=True, help="Label column [default: the first].")
@click.option("--probe", help=f"One of {', '.join(PROBES)}, or a plugin's name.")
@click.option("--preset", help="A published protocol; `featstore presets` lists them.")
@click.option("--value", "-C", type=float, help="Runs to which this C, k, … was given.")
@click.option("--scaling", type=click.Choice(["none", "l2", "standardise"]), help="Of each block.")
@click.option("--select", type=click.Choice(["val", "kfold", "nested"]), help="What chose.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the runs.")
@click.option("--test", help="Split that was reported on.")
@click.option("--metric", help="top1, top5 or mean_per_class [default: top1; several labels: mAP].")
@click.option(
    "--pretrained-on",
    multiple=True,
    metavar="NAME=DATASET[,…]",
    help="Marks the cells of the data sets that a feature was pretrained on; repeat it.",
)
@click.option("--run-missing", is_flag=True, help="Fit and store what is missing.")
@click.option("--common", is_flag=True, help="Runs on different rows: compare their common ones.")
@click.option("--device", default="cpu", show_default=True, help="For missing runs.")
@click.option(
    "--critical-difference",
    "post_hoc",
    type=click.Choice(["wilcoxon", "nemenyi"]),
    help="Which features can be told apart over all data sets.",
)
@click.option("--complete", is_flag=True, help="For this, leave out data sets with gaps.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the table: .md or .tex as shown, .csv with every interval.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the table: .svg, .pdf or .png.",
)
@click.option(
    "--plot-ranks",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the critical differences: .svg, .pdf or .png.",
)
@json_option
def command(
    stores: tuple[str, ...],
    features: tuple[str, ...],
    fuse: tuple[str, ...],
    targets: tuple[str, ...],
    pretrained_on: tuple[str, ...],
    post_hoc: Any,
    complete: bool,
    out: Path | None,
    plot: Path | None,
    plot_ranks: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Tabulate features (rows) against data sets (columns), from stored runs.

    All runs were made in one way; where stores hold several, --preset, --scaling, --seed … choose.
    In each column the best is marked, and what a paired bootstrap cannot tell from it. A missing
    run is a gap, and said to be one.

    \b
    featstore cross-domain birds.zarr places=scenes.zarr --preset logistic --run-missing
    featstore cross-domain *.zarr --critical-difference wilcoxon --out table.tex
    """
    from featstore import plots
    from featstore.cross_domain_evaluation import cross_domain

    if out is not None and out.suffix not in _WRITERS:
        raise InvalidInputError(f"{out} must end in {', '.join(sorted(_WRITERS))}")
    if post_hoc is None and (complete or plot_ranks is not None):
        raise InvalidInputError("--complete and --plot-ranks go with --critical-difference")
    rows = [*features, *([name.strip() for name in names.split(",")] for names in fuse)]
    table = cross_domain(
        _named(stores),
        features=rows or None,
        targets=targets or None,
        pretrained_on=dict(named_words(text) for text in pretrained_on),
        **options,
    )
    ranked = None
    if post_hoc is not None:
        ranked = table.critical_difference(post_hoc=post_hoc, complete=complete)
    if out is not None:
        _write(out, table)
    if plot is not None:
        write_figure(plot, plots.cross_domain(table.cells))
    if plot_ranks is not None and ranked is not None:
        write_figure(plot_ranks, plots.critical_difference(ranked))
    if as_json:
        echo_json(_document(table, ranked))
        return
    echo_table(table.texts(), title=table.protocol)
    click.echo(table.signs)
    if ranked is not None:
        click.echo()
        echo_table(ranked.ranks, title="mean ranks; a letter in common: not told apart")
        click.echo(ranked.finding)
        if ranked.left_out:
            echo_note(f"ranked without {', '.join(ranked.left_out)}, which have gaps")
    for note in table.notes:
        echo_note(note)


def _named(stores: tuple[str, ...]) -> dict[str, str] | list[str]:
    """Read NAME=STORE where a name stands in front; otherwise the location names the data set."""
    split = [text.partition("=") for text in stores]
    if all(sign and "/" not in name and ":" not in name for name, sign, _ in split):
        names = {name: place for name, _, place in split}
        if len(names) < len(split):
            raise InvalidInputError(
                f"two stores have one name: {', '.join(n for n, _, _ in split)}"
            )
        return names
    if any(sign and "/" not in name and ":" not in name for name, sign, _ in split):
        raise InvalidInputError("name every store (NAME=STORE), or none")
    return list(stores)


def _write(path: Path, table: CrossDomain) -> None:
    if path.suffix == ".csv":
        table.cells.to_csv(path, index=False)
    else:
        text = table.to_markdown() if path.suffix == ".md" else table.to_latex()
        with new_file(path) as temporary:
            temporary.write_text(f"{text}\n", encoding="utf-8")


def _document(table: CrossDomain, ranked: CriticalDifference | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "protocol": table.protocol,
        "rule": table.rule,
        "notes": table.notes,
        "cells": records(table.cells),
        "features": records(table.features),
        "datasets": records(table.datasets),
    }
    if ranked is not None:
        frames = {"ranks": records(ranked.ranks), "pairs": records(ranked.pairs)}
        document["critical_difference"] = {**vars(ranked), **frames}
    return document
