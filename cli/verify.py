"""`featstore verify`: check a store's bytes."""

from __future__ import annotations

import click

from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, json_option


@click.command()
@store_argument
@json_option
def command(store: str, as_json: bool) -> None:
    """Check every byte of a STORE's sealed features; exit code 1 if something is wrong."""
    from featstore.store import FeatureStore
    from featstore.verification import verify

    opened = FeatureStore.open(store)
    findings = verify(opened)
    if as_json:
        echo_json({"store": str(store), "findings": [vars(finding) for finding in findings]})
    elif findings:
        for finding in findings:
            click.echo(f"{click.style(finding.place, fg='red')}: {finding.problem}")
        click.echo(f"remove what is damaged (featstore rm {store} NAME) and make it again")
    else:
        click.echo(f"{store}: {len(opened.features)} features, all as committed")
    if findings:
        raise SystemExit(1)
