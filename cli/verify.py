"""`featstore verify`: check a store's bytes."""

from __future__ import annotations

import click

from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, json_option


@click.command()
@store_argument
@click.option(
    "--repair",
    "do_repair",
    is_flag=True,
    help="Set damaged shards aside, so that extracting again computes just these.",
)
@json_option
def command(store: str, do_repair: bool, as_json: bool) -> None:
    """Check every byte of a STORE; exit code 1 if something is damaged and was not repaired.

    With --repair, damaged shards are moved into the quarantine of their feature, which is then
    unfinished: the command that extracted it computes what is missing.
    """
    from featstore.verification import repair, verify

    findings = verify(store)
    damage = [finding for finding in findings if finding.severity == "damage"]
    repairs = repair(store, damage) if do_repair else []
    left = [finding for finding in damage if not (do_repair and finding.repairable)]
    if as_json:
        document = {
            "store": store,
            "findings": [vars(finding) for finding in findings],
            "repairs": [vars(done) for done in repairs],
        }
        echo_json(document)
    else:
        for finding in findings:
            colour = "red" if finding.severity == "damage" else "yellow"
            click.echo(f"{click.style(finding.place, fg=colour)}: {finding.problem}")
        for done in repairs:
            click.echo(f"{click.style(done.place, fg='green')}: {done.action}")
        state = "everything is as it was written"
        if damage:
            state = f"{len(damage)} damaged"
            state += f", {len(damage) - len(left)} repaired" if do_repair else ""
        click.echo(f"{store}: {state}" + ("; what to do:" if findings else ""))
        steps = [finding.advice[do_repair and finding.repairable :] for finding in findings]
        for advice in dict.fromkeys(steps):
            click.echo("  " + "\n  then: ".join(advice))
    if left:
        raise SystemExit(1)
