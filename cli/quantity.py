"""`featstore quantity`: accuracy against the number of training labels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pandas as pd

from featstore.cli.amounts import Sizes
from featstore.cli.arguments import chosen_features, store_argument
from featstore.cli.curves import FIGURES, file_option, interval_texts, out_option, write_results
from featstore.cli.output import (
    echo_json,
    echo_note,
    echo_table,
    json_option,
    records,
    write_figure,
)
from featstore.cli.probe_options import (
    device_option,
    probe_options,
    scaling_option,
    seed_option,
    test_option,
)

if TYPE_CHECKING:
    from featstore.quantity_result import Quantity


@click.command()
@store_argument
@click.option("--features", "-f", multiple=True, help="A feature; repeat it. [default: all]")
@click.option("--fuse", multiple=True, help="Features to concatenate: a,b[,c…]; repeat it.")
@click.option("--sizes", type=Sizes(), help="Labels: 10k,50k,… [default: all, halved six times]")
@click.option(
    "--draws", type=click.IntRange(min=1), default=5, show_default=True, help="How often."
)
@click.option("--full/--no-full", default=True, show_default=True, help="Fit to all labels too.")
@click.option("--stratified", is_flag=True, help="Every class has its share of the labels.")
@probe_options
@scaling_option("Of each block, learned on the labels of each fit.")
@click.option("--train", default="train", show_default=True, help="Split to draw from.")
@test_option
@click.option("--select", type=click.Choice(["val", "kfold"]), help="A share or folds choose.")
@click.option("--metric", help="What the choice maximises [default: the preset's: top1 or mAP].")
@seed_option
@device_option
@out_option
@file_option("--plot", "Draw accuracy against labels", FIGURES)
@json_option
def command(
    store: str,
    features: tuple[str, ...],
    fuse: tuple[str, ...],
    out: Path | None,
    plot: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Fit a probe to ever more of the training labels, several draws of each number.

    Draws are nested and the same for all features. The mean has a 95 % t interval over draws; all
    labels can be taken in one way, so the last point has none. What a fit chooses, it chooses on
    its own labels. With several features: where their curves cross, and how many labels one needs
    to reach what another reaches with all.

    \b
    featstore quantity birds.zarr --features resnet50 --features dinov2 --plot curve.svg
    featstore quantity birds.zarr --sizes 10k,50k,250k --draws 3 --preset paper-linear
    """
    from featstore.quantity_evaluation import quantity
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    results = [
        quantity(opened, names, progress=None, **options)
        for names in chosen_features(opened, features, fuse)
    ]
    if out is not None:
        write_results(out, results)
    if plot is not None:
        from featstore import plots
        from featstore.result_document import joined

        drawn = plots.quantity(joined(results), metric=results[0].metric)
        write_figure(plot, drawn)
    pairs = _pairs(results)
    if as_json:
        documents = [
            {**result.to_json(), "doubling": records(result.doubling())} for result in results
        ]
        echo_json({"results": documents, "pairs": records(pairs)})
        return
    for result in results:
        _show(result)
    if len(pairs):
        echo_table(
            pairs.drop(columns=["reached"]),
            title="against each other",
            percent=["draws that cross"],
        )
        if pairs["reached"].lt(1).any():
            echo_note("inf: not reached with as many labels as there are")


def _pairs(results: Sequence[Quantity]) -> pd.DataFrame:
    """How many labels each feature needs to reach each other one, and where the two cross."""
    rows = []
    for a, b in itertools.permutations(results, 2):
        needed, crossed = a.labels_needed(b), a.crossing(b)
        rows.append(
            {
                "feature": a.config.name,
                "to reach": b.config.name,
                "level": needed.level,
                "labels": _whole(needed.n),
                "labels low": _whole(needed.low),
                "labels high": _whole(needed.high),
                "crossing": _whole(crossed.n),
                "crossing low": _whole(crossed.low),
                "crossing high": _whole(crossed.high),
                "draws that cross": crossed.share,
                "reached": needed.reached,
            }
        )
    return pd.DataFrame(rows)


def _whole(number: float) -> float:
    """Labels are whole; what is not finite stays what it is."""
    return float(np.round(number))


def _show(result: Quantity) -> None:
    config, metric = result.config, result.metric
    summary = result.summary[result.summary["metric"] == metric]
    gains = result.doubling().set_index("n_to")["gain"]
    table = pd.DataFrame(
        {
            "labels": summary["n"],
            metric: summary["mean"],
            "95 % over draws": interval_texts(summary["low"], summary["high"]),
            "draws": summary["draws"],
            "gain per doubling": summary["n"].map(gains),
        }
    )
    echo_table(
        table, title=f"{config.name}: {config.preset}", percent=[metric, "gain per doubling"]
    )
    click.echo(
        f"{sum(config.dims)} dimensions → {config.target}; {config.n_train} labels of "
        f"{config.train_split}, {config.n_test} rows of {config.test_split}; {config.parameter}: "
        f"{'fixed' if config.select == 'fixed' else 'chosen in each fit on its own labels'}"
    )
    failed = int((~result.fits["converged"]).sum())
    if failed:
        echo_note(f"{failed} of {len(result.fits)} fits did not converge")
