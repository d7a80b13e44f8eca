"""`featstore calibration`: whether a run's probabilities can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from featstore.cli.arguments import chosen_run, run_option, store_argument
from featstore.cli.output import echo_json, echo_table, json_option, records, write_figure

if TYPE_CHECKING:
    from featstore.analysis.reliability import Binning


@click.command()
@store_argument
@run_option
@click.option("--bins", type=click.IntRange(min=1), default=15, show_default=True)
@click.option(
    "--binning",
    type=click.Choice(["width", "mass"]),
    default="width",
    show_default=True,
    help="Of the reliability curve: bins of equal width, or of equally many rows.",
)
@click.option(
    "--temperature/--no-temperature",
    default=True,
    show_default=True,
    help="Fit one on rows that are not reported, and show before and after.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    help="Of the training rows, where there is no validation split.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap."
)
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SVG file for the reliability curve.",
)
@json_option
def command(
    store: str,
    run_name: str | None,
    bins: int,
    binning: Binning,
    temperature: bool,
    folds: int,
    seed: int,
    device: str,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Compare probabilities with frequencies: ECE, Brier, NLL, and what a temperature mends.

    \b
    featstore calibration birds.zarr --run logistic-resnet50-species-1a2b3c --plot curve.svg
    """
    from featstore.run_calibration import calibration
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    result = calibration(
        opened,
        chosen_run(opened, run_name),
        n_bins=bins,
        binning=binning,
        temperature=temperature,
        folds=folds,
        seed=seed,
        device=device,
    )
    if plot is not None:
        from featstore import plots

        write_figure(plot, plots.reliability(result.curve))
    if as_json:
        echo_json(
            {
                "run": result.run,
                "temperature": result.temperature,
                "fitted_on": result.fitted_on,
                "n_fitted": result.n_fitted,
                "metrics": records(result.metrics),
                "change": records(result.change),
                "curve": records(result.curve),
            }
        )
        return
    click.echo(result.run)
    if temperature:
        click.echo(
            f"temperature {result.temperature:.3f}, fitted on {result.n_fitted} rows "
            f"({result.fitted_on})"
        )
    echo_table(result.metrics, title="calibration")
    if temperature:
        echo_table(result.change, title="change by the temperature")
    echo_table(result.curve, title="reliability", percent=["confidence", "accuracy", "low", "high"])
