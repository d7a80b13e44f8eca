"""`featstore rm`: remove a feature or a run."""

from __future__ import annotations

from pathlib import Path

import click

from featstore.cli.arguments import store_argument


@click.command()
@store_argument
@click.argument("names", nargs=-1, required=True)
def command(store: Path, names: tuple[str, ...]) -> None:
    """Remove features or runs (NAMES) from a STORE and free their space."""
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    for name in names:
        if name in opened.runs:
            opened.delete_run(name)
        else:
            opened.delete_feature(name)
        click.echo(f"removed {name}")
