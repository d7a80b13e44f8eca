"""`featstore rm`: remove features, subsets, runs and taxonomies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.filesize import decimal

from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, json_option

if TYPE_CHECKING:
    from featstore.removal import Kind


@click.command()
@store_argument
@click.argument("names", nargs=-1, required=True)
@click.option("--run", "kind", flag_value="run", help="The names are runs.")
@click.option("--feature", "kind", flag_value="feature", help="The names are features.")
@click.option("--subset", "kind", flag_value="subset", help="The names are subsets.")
@click.option("--taxonomy", "kind", flag_value="taxonomy", help="The names are taxonomies.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
def command(
    store: str, names: tuple[str, ...], kind: Kind | None, dry_run: bool, as_json: bool
) -> None:
    """Remove features, subsets, runs or taxonomies (NAMES) from a STORE and free their space.

    Nothing is removed if one of the names is wrong. What is being written may be removed too: the
    process that writes it stops with an error.
    """
    from featstore.removal import remove
    from featstore.store import FeatureStore

    removed = remove(FeatureStore.open(store), names, kind=kind, dry_run=dry_run)
    if as_json:
        echo_json({"store": store, "dry_run": dry_run, "removed": [vars(item) for item in removed]})
        return
    done = "would remove" if dry_run else "removed"
    for item in removed:
        click.echo(f"{done} {item.kind} {item.name}: {decimal(item.nbytes)} in {item.files} files")
    if len(removed) > 1:
        click.echo(f"{decimal(sum(item.nbytes for item in removed))} in all")
