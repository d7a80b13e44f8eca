"""`featstore report`: runs to a page."""

from __future__ import annotations

from pathlib import Path

import click

from featstore.cli.arguments import chosen_taxonomy, store_argument
from featstore.cli.output import echo_json, json_option


@click.command()
@store_argument
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="The HTML file.")
@click.option(
    "--run", "run_names", multiple=True, help="A stored run (repeat it) [default: all runs]."
)
@click.option(
    "--taxonomy",
    metavar="NAME|FILE",
    help="A stored taxonomy or a CSV file [default: stored ones that fit].",
)
@click.option("--title", help="Of the page [default: from the store's name].")
@json_option
def command(
    store: str,
    out: Path,
    run_names: tuple[str, ...],
    taxonomy: str | None,
    title: str | None,
    as_json: bool,
) -> None:
    """Write one self-contained HTML page about the runs of a STORE.

    The page has a summary, leaderboards, granularity, classes, a comparison of the best runs and
    where everything comes from. It opens without a network, on a phone and on paper.

    \b
    featstore report birds.zarr --out birds.html
    featstore report birds.zarr --out birds.html --taxonomy taxonomy.csv --title "Birds"
    """
    from featstore.html_report import report
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    chosen = None if taxonomy is None else chosen_taxonomy(opened, taxonomy)
    path = report(opened, out, runs=run_names or None, taxonomy=chosen, title=title)
    size = path.stat().st_size
    if as_json:
        echo_json({"path": str(path), "bytes": size})
        return
    click.echo(f"{path} ({size / 1e3:,.0f} kB)")
