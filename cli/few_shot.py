"""`featstore few-shot`: accuracy with a few training rows per class."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd

from featstore.cli.amounts import Numbers
from featstore.cli.arguments import chosen_features, store_argument
from featstore.cli.curves import FIGURES, file_option, interval_texts, out_option, write_results
from featstore.cli.output import echo_json, echo_note, echo_table, json_option, write_figure
from featstore.cli.probe_options import (
    device_option,
    probe_options,
    scaling_option,
    seed_option,
    test_option,
)
from featstore.errors import InvalidInputError, ShortClassesWarning

if TYPE_CHECKING:
    from featstore.few_shot_result import FewShot


@click.command()
@store_argument
@click.option("--features", "-f", multiple=True, help="A feature; repeat it. [default: all]")
@click.option("--fuse", multiple=True, help="Features to concatenate: a,b[,c…]; repeat it.")
@click.option(
    "--shots",
    type=Numbers(),
    help="Rows per class. [default: the preset's, or 1,2,4,8,16; of these what most classes have]",
)
@click.option(
    "--draws", type=click.IntRange(min=1), help="How often. [default: the preset's, or 20]"
)
@probe_options
@scaling_option("Of each block of a row.", choices=("none", "l2"))
@click.option("--train", default="train", show_default=True, help="Split to draw from.")
@test_option
@click.option(
    "--nested/--independent",
    default=None,
    help="Whether a few rows are among those of more shots. [default: the preset's, or nested]",
)
@click.option("--use-all", is_flag=True, help="A class with too few rows gives all it has.")
@click.option("--episodes", type=click.IntRange(min=1), help="N-way K-shot episodes instead.")
@click.option(
    "--way", type=click.IntRange(min=2), default=5, show_default=True, help="Classes of an episode."
)
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="Rows of each class to be told apart in an episode.",
)
@seed_option
@device_option
@out_option
@file_option("--plot", "Draw accuracy against shots", FIGURES)
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
    """Fit a probe to a few rows of every class, many times over.

    Every draw takes k rows of each class from the training split, by the hash of their ids, and is
    tested on all test rows. The mean over draws has a 95 % t interval; what the choice of test
    images adds is shown beside it. A hyper-parameter is chosen for each k on other draws and on
    training rows they did not take, never on the reported ones.

    \b
    featstore few-shot birds.zarr --features resnet50 --fuse resnet50,dinov2
    featstore few-shot birds.zarr --preset bigvision-fewshot --out shots.csv
    featstore few-shot birds.zarr --episodes 1000 --way 5 --shots 1,5 --preset simpleshot
    """
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShortClassesWarning)  # said below, from the result
        results = [
            _evaluate(opened, names, options) for names in chosen_features(opened, features, fuse)
        ]
    if out is not None:
        write_results(out, results)
    if plot is not None:
        from featstore import plots
        from featstore.result_document import joined

        write_figure(plot, plots.few_shot(joined(results)))
    if as_json:
        documents = [result.to_json() for result in results]
        echo_json(documents[0] if len(documents) == 1 else documents)
        return
    for result in results:
        _show(result)
    if results[0].config.shortage:  # of the rows, which all features share
        echo_note(results[0].config.shortage)


def _evaluate(store: Any, names: list[str], options: dict[str, Any]) -> FewShot:
    from featstore.episode_evaluation import episodes
    from featstore.shot_evaluation import few_shot

    shared = {
        key: options[key]
        for key in ("probe", "preset", "value", "target", "scaling", "train", "test", "seed")
    }
    shared["device"] = options["device"]
    if options["episodes"] is None:
        return few_shot(
            store,
            names,
            shots=options["shots"],
            draws=options["draws"],
            nested=options["nested"],
            short="all" if options["use_all"] else None,
            **shared,
        )
    given = [name for name in ("draws", "nested", "use_all") if options[name]]
    if given:
        raise InvalidInputError(
            f"--{given[0].replace('_', '-')} is about draws of the whole data set; --episodes has "
            "--way, --shots and --queries"
        )
    return episodes(
        store,
        names,
        episodes=options["episodes"],
        way=options["way"],
        shots=options["shots"] or (1, 5),
        queries=options["queries"],
        **shared,
    )


def _show(result: FewShot) -> None:
    config, summary = result.config, result.summary
    table = pd.DataFrame(
        {
            "shots": summary["shots"],
            "metric": summary["metric"],
            "mean": summary["mean"],
            "95 % over draws": interval_texts(summary["low"], summary["high"]),
            "95 % over test rows": interval_texts(summary["test_low"], summary["test_high"]),
            config.parameter: [f"{value:g}" for value in summary["chosen"]],
        }
    )
    if summary["test_low"].isna().all():
        table = table.drop(columns="95 % over test rows")
    if summary["chosen"].isna().all():
        table = table.drop(columns=config.parameter)
    echo_table(table, title=f"{config.name}: {config.preset}", percent=["mean"])
    what = "episodes" if "way" in config.draws else "draws"
    click.echo(
        f"{sum(config.dims)} dimensions → {config.target}; {summary['draws'].iloc[0]} {what} from "
        f"{config.train_split}, {config.n_test} rows of {config.test_split}; {config.parameter}: "
        f"{config.selected_on}"
    )
    edges = [
        str(k)
        for k, tried in result.selection.groupby("shots")
        if tried.loc[tried["chosen"], "value"].item()
        in (tried["value"].min(), tried["value"].max())
    ]
    if edges:
        echo_note(
            f"the best {config.parameter} is at the edge of the values tried for shots "
            f"{', '.join(edges)}"
        )
    failed = int(summary.groupby("shots")["unconverged"].first().sum())
    if failed:
        echo_note(f"{failed} fits did not converge; raise the probe's max_iter or lower its value")
