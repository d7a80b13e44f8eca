"""`featstore rm`: remove a feature or a run."""

from __future__ import annotations

from pathlib import Path

import click

from featstore.cli.arguments import store_argument
from featstore.errors import InvalidInputError


@click.command()
@store_argument
@click.argument("names", nargs=-1, required=True)
@click.option("--run", "kind", flag_value="run", help="The names are runs.")
@click.option("--feature", "kind", flag_value="feature", help="The names are features.")
def command(store: Path, names: tuple[str, ...], kind: str | None) -> None:
    """Remove features or runs (NAMES) from a STORE and free their space."""
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    for name in names:
        if kind is None and name in opened.runs and name in opened.features:
            raise InvalidInputError(
                f"{name!r} is a run and a feature; say which with --run or --feature"
            )
        if kind == "run" or (kind is None and name in opened.runs):
            opened.delete_run(name)
            click.echo(f"removed run {name}")
        else:
            opened.delete_feature(name)
            click.echo(f"removed feature {name}")
