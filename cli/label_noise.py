"""`featstore label-noise`: rows whose labels may be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from featstore.cli.arguments import chosen_run, run_option, store_argument
from featstore.cli.output import echo_json, echo_table, json_option, records, write_figure


@click.command("label-noise")
@store_argument
@run_option
@click.option(
    "--rows",
    type=click.Choice(["train", "test"]),
    default="train",
    show_default=True,
    help="Rows that the run was trained on (predicted again, by folds), or tested on.",
)
@click.option(
    "--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Of training rows."
)
@click.option(
    "--k",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Neighbours that vote; 0 for none.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to list."
)
@click.option("--max-memory", help='That the search for neighbours may take, e.g. "2GB".')
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SVG file for the pairs of classes that are confused.",
)
@json_option
def command(
    store: str,
    run_name: str | None,
    rows: Literal["train", "test"],
    folds: int,
    k: int,
    limit: int,
    max_memory: str | None,
    device: str,
    plot: Path | None,
    as_json: bool,
) -> None:
    """List rows whose labels a probe that has not seen them, and their neighbours, do not believe.

    Candidates to look at, the most suspect first: a hard image looks like a wrong label.

    \b
    featstore label-noise birds.zarr --run logistic-resnet50-species-1a2b3c --rows test
    """
    from featstore.mislabelled import label_noise
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    run = chosen_run(opened, run_name)
    noise = label_noise(
        opened, run, rows=rows, folds=folds, k=k, device=device, max_memory=max_memory
    )
    pairs = noise.joint.pairs()
    if plot is not None:
        from featstore import plots

        write_figure(plot, plots.label_noise(noise))
    if as_json:
        echo_json(
            {
                "run": run.name,
                "rows": rows,
                "noise_rate": noise.noise_rate,
                "candidates": records(noise.candidates),
                "pairs": records(pairs),
                "labels": records(noise.rows),
            }
        )
        return
    flagged = int(noise.rows["confident"].sum())
    both = f", {len(noise.candidates)} of them disputed by their neighbours too" if k else ""
    click.echo(
        f"{run.name}: {flagged} of {len(noise.rows)} {rows} rows confidently belong to another "
        f"class{both}; estimated share of wrong labels {noise.noise_rate:.2%}"
    )
    shown = noise.candidates.drop(columns=["confident", "disputed"], errors="ignore")
    echo_table(shown, title="candidates", percent=["agreement"], limit=limit)
    echo_table(pairs, title="confused classes", percent=["share"], limit=limit)
