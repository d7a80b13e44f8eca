"""`featstore merge`: several stores to one."""

from __future__ import annotations

import click

from featstore.cli.output import echo_json, echo_note, echo_table, json_option


@click.command()
@click.argument("stores", nargs=-1, required=True)
@click.option("--out", "-o", required=True, help="The new store: a path, or a URL (s3://…).")
@click.option("--features", "-f", help="Merge these only: a,b[,c…].  [default: all]")
@click.option("--common", is_flag=True, help="Leave out features that only some stores have.")
@click.option("--targets", help="Merge these label columns only: a,b[,c…].  [default: all]")
@click.option("--prefix", is_flag=True, help="Put the stores' names in front of the ids.")
@click.option("--prefix-names", help="Put these in front of them, one for each store: a,b[,c…].")
@json_option
def command(
    stores: tuple[str, ...],
    out: str,
    features: str | None,
    common: bool,
    targets: str | None,
    prefix: bool,
    prefix_names: str | None,
    as_json: bool,
) -> None:
    """Copy the rows of STORES into a new store, in this order, bit for bit.

    Their features must have been made in the same way, and their ids must differ. Splits and labels
    are kept. Running the same command again does nothing; after an interruption it goes on where it
    stopped.

    \b
    featstore merge spring.zarr autumn.zarr --out year.zarr
    featstore merge a.zarr b.zarr --prefix --features resnet50 --out both.zarr
    """
    from featstore.merging import merge

    result = merge(
        stores,
        out,
        features=_list(features),
        common=common,
        targets=_list(targets),
        prefix=prefix if prefix_names is None else _list(prefix_names) or [],
    )
    if as_json:
        document = {
            "store": out,
            "samples": result.store.n_samples,
            "merged": result.merged,
            "unchanged": result.unchanged,
            "notes": result.notes,
        }
        echo_json(document)
        return
    from featstore.cli.ls import features_frame

    echo_table(features_frame(result.store), title=f"{out}: {result.store.n_samples} samples")
    if not result.merged:
        click.echo("nothing to do: every feature is complete")
    for note in result.notes:
        echo_note(note)


def _list(text: str | None) -> list[str] | None:
    """Split a list of names; blanks around the commas do not count."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
