"""`featstore corrupt`: a corrupted copy of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from featstore.cli.output import echo_json, echo_note, json_option


@click.command()
@click.argument("images", type=click.Path(path_type=Path))
@click.option(
    "--corrupt",
    "corruption",
    required=True,
    metavar="NAME",
    help="resize256, downsample2, downsample4, jpeg10, salt-pepper0.01, gaussian_noise-3, …",
)
@click.option("--out", "-o", required=True, type=click.Path(path_type=Path), help="The new folder.")
@click.option("--target", help="Label column of the manifest [default: the first].")
@click.option("--workers", type=click.IntRange(min=1), help="Threads [default: cores].")
@click.option(
    "--on-error",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    show_default=True,
    help="Stop at an unreadable image, or leave it out.",
)
@json_option
def command(
    images: Path,
    corruption: str,
    out: Path,
    target: str | None,
    workers: int | None,
    on_error: Literal["raise", "skip"],
    as_json: bool,
) -> None:
    """Write a corrupted copy of IMAGES (a folder or a table), to pretrain on.

    Each image is corrupted in one way, whatever the order. The copy has the folders of the
    original, and manifest.csv: id, path, label and split. Running the same command again after an
    interruption goes on where it stopped.

    \b
    featstore corrupt imagenet/ --corrupt jpeg10 --out imagenet-jpeg10
    """
    from featstore.corrupted_copy import corrupt_images

    copy = corrupt_images(
        images, corruption, out, target=target, workers=workers, on_error=on_error
    )
    if as_json:
        echo_json({**vars(copy), "out": str(copy.out), "manifest": str(copy.manifest)})
        return
    click.echo(
        f"wrote {copy.out}: {copy.images} images, {copy.written} of them now; {copy.manifest}"
        if copy.written
        else f"nothing to do: {copy.out} is complete"
    )
    if copy.excluded:
        first = next(iter(copy.excluded.values()))
        echo_note(f"{len(copy.excluded)} unreadable images are left out, e.g. {first}")
