"""`featstore export`: features of a store as a file of another format."""

from __future__ import annotations

from pathlib import Path

import click

from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, json_option


@click.command()
@store_argument
@click.option(
    "--features",
    "-f",
    required=True,
    metavar="NAME[,NAME…]",
    help="Features to put side by side.",
)
@click.option(
    "--out",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="The file; .npy, .npz, .safetensors, .parquet, .arrow or .h5ad.",
)
@click.option("--split", help="Samples of this split only.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@json_option
def command(
    store: str, features: str, out: Path, split: str | None, overwrite: bool, as_json: bool
) -> None:
    """Write features of a STORE, with ids, splits and labels, to a file of another format.

    \b
    featstore export birds.zarr --features clip --out clip.safetensors
    featstore export birds.zarr --features clip,dino --split test --out test.parquet
    """
    from featstore.exports import export
    from featstore.store import FeatureStore

    names = [name.strip() for name in features.split(",") if name.strip()]
    result = export(FeatureStore.open(store), names, out, split=split, overwrite=overwrite)
    if as_json:
        document = {
            "files": [str(file) for file in result.files],
            "features": list(result.features),
            "rows": result.shape[0],
            "dim": result.shape[1],
            "dtype": result.dtype,
            "bytes": result.nbytes,
        }
        echo_json(document)
        return
    n, dim = result.shape
    files = ", ".join(str(file) for file in result.files)
    click.echo(f"{files}: {n} × {dim} {result.dtype}, {result.nbytes / 1e6:.1f} MB")
