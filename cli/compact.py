"""`featstore compact`: free the space of what nobody needs."""

from __future__ import annotations

import re

import click
import pandas as pd
from rich.filesize import decimal

from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, echo_table, json_option
from featstore.errors import InvalidInputError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command()
@store_argument
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--unfinished", is_flag=True, help="Also remove features that were not finished.")
@click.option(
    "--older-than",
    default="24h",
    show_default=True,
    help="Age from which something counts as abandoned where no lock tells, as on object storage: "
    "30m, 24h, 7d.",
)
@json_option
def command(store: str, dry_run: bool, unfinished: bool, older_than: str, as_json: bool) -> None:
    """Remove from a STORE what killed processes, interrupted removals and repairs have left.

    Sealed features, runs and taxonomies stay as they are, and so does everything that a living
    process is writing.

    \b
    featstore compact birds.zarr --dry-run
    featstore compact s3://bucket/birds.zarr --unfinished --older-than 7d
    """
    from featstore.compaction import compact
    from featstore.store import FeatureStore

    result = compact(
        FeatureStore.open(store),
        unfinished=unfinished,
        older_than=_seconds(older_than),
        dry_run=dry_run,
    )
    if as_json:
        document = {
            "store": store,
            "dry_run": dry_run,
            "files": result.files,
            "nbytes": result.nbytes,
            "freed": [vars(leftover) for leftover in result.freed],
            "kept": [vars(leftover) for leftover in result.kept],
        }
        echo_json(document)
        return
    for title, leftovers in (
        ("would be freed" if dry_run else "freed", result.freed),
        ("kept", result.kept),
    ):
        if leftovers:
            frame = pd.DataFrame([vars(leftover) for leftover in leftovers])
            frame["size"] = [decimal(nbytes) for nbytes in frame.pop("nbytes")]
            echo_table(frame, title=title)
    done = "could be freed" if dry_run else "freed"
    click.echo(f"{decimal(result.nbytes)} {done} in {result.files} files")


def _seconds(age: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", age.strip())
    if not match:
        raise InvalidInputError(f"cannot read {age!r} as an age; write e.g. 30m, 24h or 7d")
    return float(match[1]) * _SECONDS[match[2]]
