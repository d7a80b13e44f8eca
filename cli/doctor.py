"""`featstore doctor`: is everything there, and what to do where it is not."""

from __future__ import annotations

from collections import Counter

import click

from featstore.cli.output import echo_json, json_option
from featstore.installation.check import State

_COLOURS: dict[State, str] = {"ok": "green", "note": "yellow", "problem": "red"}


@click.command()
@click.option("--store", metavar="STORE", help="A store to look at as well.")
@click.option(
    "--folder",
    metavar="FOLDER",
    help="Whose disk to measure [default: the store's folder, else the current one].",
)
@json_option
def command(store: str | None, folder: str | None, as_json: bool) -> None:
    """Check the installation and say what to do; exit code 1 if there is a problem.

    Looks at Python, required and optional packages, torch and CUDA, cores, memory and threads,
    image decoders, faiss, and the speed of the disk, for which it writes 64 MiB at most and removes
    them. A note is something that could be better, or that need not be there.

    \b
    featstore doctor
    featstore doctor --store birds.zarr --json
    """
    from featstore.installation import examine

    checks = list(examine(folder, store=store))
    problems = [check for check in checks if check.state == "problem"]
    if as_json:
        echo_json({"problems": len(problems), "checks": [vars(check) for check in checks]})
    else:
        width = max(len(check.subject) for check in checks)
        area = None
        for check in checks:
            if check.area != area:
                area = check.area
                click.secho(f"{area}", bold=True)
            state = click.style(f"{check.state:7}", fg=_COLOURS[check.state])
            click.echo(f"  {state}  {check.subject:{width}}  {check.found}")
            if check.advice:
                click.echo(f"  {'':7}  {'':{width}}  → {check.advice}")
        counts = Counter(check.state for check in checks)
        click.echo(
            ", ".join(
                f"{counts[state]} {state}{'s' * (counts[state] != 1 and state != 'ok')}"
                for state in _COLOURS
            )
        )
    if problems:
        raise SystemExit(1)
