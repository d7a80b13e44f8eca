"""`featstore rm`: remove features, runs and taxonomies."""

from __future__ import annotations

import click

from featstore.cli.arguments import store_argument
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.suggest import did_you_mean


@click.command()
@store_argument
@click.argument("names", nargs=-1, required=True)
@click.option("--run", "kind", flag_value="run", help="The names are runs.")
@click.option("--feature", "kind", flag_value="feature", help="The names are features.")
@click.option("--taxonomy", "kind", flag_value="taxonomy", help="The names are taxonomies.")
def command(store: str, names: tuple[str, ...], kind: str | None) -> None:
    """Remove features, runs or taxonomies (NAMES) from a STORE and free their space."""
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    members = {
        "run": (opened.runs, opened.delete_run),
        "feature": (opened.features, opened.delete_feature),
        "taxonomy": (opened.taxonomies, opened.delete_taxonomy),
    }
    chosen = []
    for name in names:
        found = [k for k, (known, _) in members.items() if name in known and kind in (None, k)]
        if not found:
            everything = [member for known, _ in members.values() for member in known]
            raise FeatureNotFoundError(
                f"{store} has no {kind or 'run, feature or taxonomy'} {name!r}. "
                f"{did_you_mean(name, everything)}"
            )
        if len(found) > 1:
            raise InvalidInputError(
                f"{name!r} is the name of a {' and a '.join(found)}; say which, e.g. --{found[0]}"
            )
        chosen.append((found[0], name))
    for what, name in chosen:
        members[what][1](name)
        click.echo(f"removed {what} {name}")
