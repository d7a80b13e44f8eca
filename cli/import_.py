"""`featstore import`: features that other tools made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from featstore.cli.output import echo_json, echo_note, echo_table, json_option
from featstore.errors import InvalidInputError


@click.command()
@click.argument("features", nargs=-1, required=True, metavar="[SPLIT=]FEATURES…")
@click.option("--name", required=True, help="Of the feature in the store.")
@click.option("--out", "-o", required=True, help="The store, a path or a URL.")
@click.option("--format", "form", help="Of the files; told from their content by default.")
@click.option("--key", help="Array, tensor, data set or column of the features.")
@click.option("--ids", metavar="FILE|COLUMN", help="Where the ids are.")
@click.option("--split", metavar="FILE|COLUMN", help="Where the splits are, for a new store.")
@click.option(
    "--labels",
    multiple=True,
    metavar="[TARGET=]FILE|COLUMN",
    help="Where labels are, for a new store; repeat it for several targets.",
)
@click.option("--root", help="Leading folder to take off the ids of the files.")
@click.option("--backbone", default="unknown", show_default=True, help="What made the features.")
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    help="Stored precision [default: float16 for half precision, float32 for the rest].",
)
@click.option("--by-position", is_flag=True, help="Row i is sample i of the store.")
@click.option("--allow-missing", is_flag=True, help="Exclude samples that the files lack.")
@click.option("--allow-unmatched", is_flag=True, help="Leave out ids that the store lacks.")
@click.option("--allow-not-finite", is_flag=True, help="Exclude rows with NaN or Inf.")
@click.option(
    "--duplicates",
    type=click.Choice(["error", "identical", "first"]),
    default="error",
    show_default=True,
    help="Repeated ids: refuse, take them if their values are equal, or keep the first.",
)
@click.option(
    "--hold-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of each class that becomes the test split of a new store without splits.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the hold-out."
)
@json_option
def command(
    features: tuple[str, ...],
    out: str,
    hold_out: float,
    seed: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Bring FEATURES that were made elsewhere into a store, matched to its samples by id.

    FEATURES are files or folders: NumPy, safetensors, HDF5 (TRIDENT), Parquet, Arrow, AnnData,
    torch (CLIP_benchmark, DINO), clip-retrieval, thingsvision, eva; see docs/import-export.md. A
    store that does not exist is made from their ids, splits and labels.

    \b
    featstore import clip.npz --name clip --out birds.zarr
    featstore import train=train.npz test=test.npz --labels y --name clip --out new.zarr
    featstore import embeddings/ --name clip --root /data/birds --out birds.zarr
    """
    from featstore.holdout import HoldOut
    from featstore.importation import import_features

    result = import_features(_by_split(features), out, hold_out=HoldOut(hold_out, seed), **options)
    counts = {
        "rows": result.rows,
        "missing": result.missing,
        "not_finite": result.not_finite,
        "unmatched": result.unmatched,
        "duplicates": result.duplicates,
    }
    if as_json:
        flags = {"created": result.created, "computed": result.computed}
        notes = list(result.notes)
        document = {"store": out, "feature": result.name, "dtype": result.dtype, **counts, **flags}
        echo_json({**document, "notes": notes})
        return
    from featstore.cli.ls import features_frame

    frame = features_frame(result.store)
    echo_table(
        frame[frame["feature"] == result.name], title=f"{out}: {result.store.n_samples} samples"
    )
    if not result.computed:
        click.echo("nothing to do: the very same feature is there")
    left_out = [f"{n} {what.replace('_', ' ')}" for what, n in counts.items() if n][1:]
    for note in [*result.notes, *(["left out: " + ", ".join(left_out)] if left_out else [])]:
        echo_note(note)


def _by_split(features: tuple[str, ...]) -> list[str] | dict[str, str]:
    """Take ``SPLIT=FILE`` apart; a file that exists under the whole name is meant as it is."""
    pairs: list[tuple[str, str]] = [
        ("", given) if Path(given).exists() or "=" not in given else _pair(given)
        for given in features
    ]
    splits = [split for split, _ in pairs]
    if not any(splits):
        return list(features)
    repeated = {split for split in splits if splits.count(split) > 1}
    if repeated:
        raise InvalidInputError(
            f"several files have the split {sorted(repeated)[0] or None!r}; give each one of its "
            "own, or put the files of one split into a folder"
        )
    return dict(pairs)


def _pair(given: str) -> tuple[str, str]:
    split, _, path = given.partition("=")
    return split, path
