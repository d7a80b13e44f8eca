"""`featstore pool`: images of several stores in one list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd

from featstore.cli.amounts import Size, Sizes
from featstore.cli.output import echo_json, echo_table, json_option, records
from featstore.errors import InvalidInputError


@click.command()
@click.argument("stores", nargs=-1, required=True, metavar="[NAME=]STORE…")
@click.option("--total", type=Size(), help="Images in all, in equal shares, e.g. 1M.")
@click.option("--sizes", type=Sizes(), help="Images of each store, e.g. 250k,500k.")
@click.option("--subset", help="The stored subset of this name of each store.")
@click.option("--split", default="train", show_default=True, help="Split to draw from.")
@click.option("--target", help="Label column of every store [default: the first of each].")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the draws and of the order."
)
@click.option(
    "--out",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="A .csv or .jsonl of id, path and label; a folder for links; %06d.tar.",
)
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="NAME=FOLDER",
    help="Folder of a store's images, if moved.",
)
@json_option
def command(
    stores: tuple[str, ...],
    total: int | None,
    sizes: tuple[int, ...] | None,
    subset: str | None,
    split: str,
    target: str | None,
    seed: int,
    out: Path,
    roots: tuple[str, ...],
    as_json: bool,
) -> None:
    """Draw images from several STORES, shuffled together, to pretrain on.

    By default as many from each as the smallest has. Ids and labels begin with the store's name,
    that of its file unless given. The images of a store are those of its subset of the same size
    and seed.

    \b
    featstore pool inat.zarr imagenet.zarr --total 500k --out pooled.csv
    featstore pool inat=a.zarr places=b.zarr --sizes 250k,250k --out pooled-%06d.tar
    """
    from featstore.exports.pooled import export_pool
    from featstore.pooled_set import pool

    named = _named(stores)
    found = pool(named, total=total, sizes=sizes, subset=subset, split=split, seed=seed)
    folders = dict(_pair(text) for text in roots)
    if unknown := [name for name in folders if name not in named]:
        raise InvalidInputError(f"--root {unknown[0]}=…: the stores are {', '.join(named)}")
    written = export_pool(found, out, target=target, roots=folders)
    frame = pd.DataFrame(
        [(name, len(part), part.digest) for name, part in found.parts.items()],
        columns=["store", "images", "digest"],
    )
    if as_json:
        echo_json(
            {"out": str(out), "images": written, "digest": found.digest, "parts": records(frame)}
        )
        return
    echo_table(frame.assign(digest=frame["digest"].str[:12]))
    click.echo(f"wrote {out}: {written} images; digest {found.digest[:12]}")


def _named(stores: Sequence[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for text in stores:
        name, path = _pair(text) if "=" in text else (Path(text.rstrip("/")).stem, text)
        if name in named:
            raise InvalidInputError(
                f"two stores would be called {name!r}; name them: {name}-2={path}"
            )
        named[name] = path
    return named


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise InvalidInputError(f"NAME=PLACE is needed, got {text!r}")
    return name, value
