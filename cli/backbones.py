"""`featstore backbones`: what can be extracted with, and what a checkpoint holds."""

from __future__ import annotations

import dataclasses

import click

from featstore.cli.output import echo_json, echo_table, json_option, records


@click.command()
@click.argument("search", nargs=-1)
@click.option("--limit", type=click.IntRange(min=1), default=40, show_default=True, help="Rows.")
@json_option
def command(search: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List the pretrained backbones whose names contain all words of SEARCH, and what each needs.

    SEARCH may also be one checkpoint: then what was recognised in it is said.

    \b
    featstore backbones dinov2 small
    featstore backbones open_clip/ViT-B-32
    featstore backbones checkpoint:moco.pth
    """
    if len(search) == 1 and search[0].startswith("checkpoint:"):
        from featstore.registry import backbones

        match = backbones().describe(search[0])
        if as_json:
            echo_json(dataclasses.asdict(match))
        else:
            click.echo(str(match))
        return
    from featstore.backbones.catalogue import catalogue

    frame = catalogue(" ".join(search))
    if as_json:
        echo_json(records(frame))
    else:
        echo_table(frame, title=f"{len(frame)} backbones", limit=limit)
