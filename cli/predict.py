"""`featstore predict`: what a stored run says of new images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import pandas as pd

from featstore.cli.arguments import (
    chosen_run,
    moved_backbones,
    moved_backbones_option,
    run_option,
    store_argument,
)
from featstore.cli.output import echo_json, echo_note, echo_table, json_option, records
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from featstore.image_prediction import ImagePredictions

#: Exit code where some images could not be read.
SOME_FAILED = 1


@click.command()
@store_argument
@click.argument("images", nargs=-1, required=True)
@run_option
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV file for the table [default: it is shown].",
)
@click.option(
    "--top", type=click.IntRange(min=1), default=1, show_default=True, help="Classes of an image."
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Bring probabilities to it; `featstore calibration` fits one.",
)
@moved_backbones_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=128, show_default=True, help="Images."
)
@click.option("--workers", type=click.IntRange(min=1), help="Decoding threads [default: cores].")
@click.option(
    "--decode-timeout",
    type=click.FloatRange(0, min_open=True),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="An image that takes longer to read and decode counts as unreadable.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@json_option
def command(
    store: str,
    images: tuple[str, ...],
    run_name: str | None,
    out: Path | None,
    top: int,
    temperature: float,
    moved: tuple[str, ...],
    device: str,
    batch_size: int,
    workers: int | None,
    decode_timeout: float,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Classify IMAGES by the backbones and the probe of a run in STORE.

    IMAGES are files, a folder (every image below it), or any source that `featstore extract`
    takes. A backbone whose weights, layer or transform are not those of the run's features is
    refused. An image that cannot be read is named, the others are classified, and the exit code
    is 1.

    \b
    featstore predict birds.zarr new/ --run logistic-resnet50 --out predictions.csv
    featstore predict birds.zarr a.jpg b.jpg --top 5
    """
    from featstore.allocator import keep_freed_memory
    from featstore.image_prediction import predict
    from featstore.store import FeatureStore

    keep_freed_memory()
    if out is not None:
        _check(out, overwrite=overwrite)
    opened = FeatureStore.open(store)
    run = chosen_run(opened, run_name)
    result = predict(
        opened,
        run,
        images,
        backbones=moved_backbones(moved, run.config.features),
        temperature=temperature,
        device=device,
        batch_size=batch_size,
        workers=workers,
        decode_timeout=decode_timeout,
    )
    frame = result.frame(top)
    if out is not None:
        from featstore.new_file import new_file

        with new_file(out) as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g")
    _show(result, frame, out, as_json=as_json)
    if result.failed:
        click.get_current_context().exit(SOME_FAILED)


def _check(out: Path, *, overwrite: bool) -> None:
    if out.suffix.lower() != ".csv":
        raise InvalidInputError(f"{out} must end in .csv; --json prints a document for programs")
    if out.exists() and not overwrite:
        raise InvalidInputError(f"{out} exists; replace it with --overwrite, or name another")
    if not out.parent.is_dir():
        raise InvalidInputError(f"there is no folder {out.parent}; make it first")


def _tables(result: ImagePredictions, frame: pd.DataFrame) -> None:
    """Show a line per image, or a table per image where it has several lines."""
    if frame["id"].is_unique:
        echo_table(frame, title=result.run, percent=["probability"])
        return
    for image, lines in frame.groupby("id", sort=False):
        echo_table(
            lines.drop(columns="id"), title=f"{image}: {result.run}", percent=["probability"]
        )


def _show(
    result: ImagePredictions, frame: pd.DataFrame, out: Path | None, *, as_json: bool
) -> None:
    if as_json:
        document = {
            "run": result.run,
            "images": len(result),
            "temperature": result.temperature,
            "probe_from": result.probe_from,
            "out": None if out is None else str(out),
            "predictions": records(frame),
            "failed": result.failed,
        }
        echo_json(document)
    elif out is None:
        _tables(result, frame)
    else:
        click.echo(f"{out}: {len(result)} images, {len(frame)} lines")
    if result.probe_from == "fitted again":
        echo_note(f"{result.run} keeps no weights; its probe was fitted again to the stored rows")
    for why in list(result.failed.values())[:10]:
        echo_note(why)
    if len(result.failed) > 10:
        echo_note(f"… and {len(result.failed) - 10} more images that failed")
