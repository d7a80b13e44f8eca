"""`featstore export`: features of a store, or the model of a run, as a file of another format."""

from __future__ import annotations

from pathlib import Path

import click

from featstore.cli.arguments import moved_backbones, moved_backbones_option, store_argument
from featstore.cli.output import echo_json, echo_note, json_option
from featstore.errors import InvalidInputError
from featstore.numerals import size


@click.command()
@store_argument
@click.option("--features", "-f", metavar="NAME[,NAME…]", help="Features to put side by side.")
@click.option("--run", "run_name", metavar="NAME", help="A stored run, instead of features.")
@click.option(
    "--out",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="The file; of features .npy, .npz, .safetensors, .parquet, .arrow, .h5ad or .csv; of a "
    "run .onnx, .skops, .joblib, .safetensors, or .md, a model card.",
)
@click.option("--split", help="Samples of this split only; of features.")
@moved_backbones_option
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@json_option
def command(
    store: str,
    features: str | None,
    run_name: str | None,
    out: Path,
    split: str | None,
    moved: tuple[str, ...],
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write features of a STORE, with ids, splits and labels, to a file of another format.

    Or the model of a run: backbones and head from pixels to probabilities (.onnx), the head as a
    fitted pipeline of scikit-learn (.skops, .joblib) or as numbers (.safetensors), and a model
    card (.md).

    \b
    featstore export birds.zarr --features clip --out clip.safetensors
    featstore export birds.zarr --features clip,dino --split test --out test.parquet
    featstore export birds.zarr --run logistic-clip --out birds.onnx
    featstore export birds.zarr --run logistic-clip --out README.md
    """
    if (features is None) == (run_name is None):
        raise InvalidInputError("say what to export: --features or --run")
    if features is not None:
        if moved:
            raise InvalidInputError("--backbone belongs to --run; features are exported as stored")
        _features(store, features, out, split=split, overwrite=overwrite, as_json=as_json)
        return
    if split is not None:
        raise InvalidInputError("--split belongs to --features; a run is exported as a whole")
    _run(store, str(run_name), out, moved=moved, overwrite=overwrite, as_json=as_json)


def _features(
    store: str, features: str, out: Path, *, split: str | None, overwrite: bool, as_json: bool
) -> None:
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
    click.echo(f"{files}: {n} × {dim} {result.dtype}, {size(result.nbytes)}")


def _run(
    store: str, name: str, out: Path, *, moved: tuple[str, ...], overwrite: bool, as_json: bool
) -> None:
    from featstore.run_exports import export_run
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    run = opened.run(name)
    result = export_run(
        opened,
        run,
        out,
        backbones=moved_backbones(moved, run.config.features),
        overwrite=overwrite,
    )
    if as_json:
        echo_json({**vars(result), "path": str(result.path)})
        return
    click.echo(f"{result.path}: {result.run}, {size(result.nbytes)}")
    if result.difference is not None:
        click.echo(
            f"checked with ONNX Runtime: probabilities differ from those of `featstore predict` by "
            f"{result.difference:.1g} at most"
        )
    if out.suffix.lower() == ".joblib":
        echo_note("loading a joblib file runs the code in it; .skops is safe to pass on")
