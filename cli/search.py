"""`featstore search`: the samples that are most like an image."""

from __future__ import annotations

import click

from featstore.cli.arguments import moved_backbones, moved_backbones_option, store_argument
from featstore.cli.output import echo_json, echo_note, echo_table, json_option, records
from featstore.cli.predict import SOME_FAILED
from featstore.errors import InvalidInputError


@click.command()
@store_argument
@click.option("--image", "images", multiple=True, help="An image file, a folder or a source.")
@click.option("--id", "ids", multiple=True, help="A sample of the store instead; repeat it.")
@click.option("--features", "-f", help="a, or a,b side by side [default: the only one].")
@click.option("--k", type=click.IntRange(min=1), default=10, show_default=True, help="Neighbours.")
@click.option("--split", help="Look through this split only [default: all samples].")
@click.option("--target", help="Labels to show [default: the first].")
@moved_backbones_option
@click.option(
    "--engine",
    type=click.Choice(["torch", "faiss", "faiss-ivf", "faiss-hnsw"]),
    default="torch",
    show_default=True,
    help="The first two are exact.",
)
@click.option("--device", default="auto", show_default=True, help="Of backbones: auto, cpu, cuda.")
@json_option
def command(
    store: str,
    images: tuple[str, ...],
    ids: tuple[str, ...],
    features: str | None,
    k: int,
    split: str | None,
    target: str | None,
    moved: tuple[str, ...],
    engine: str,
    device: str,
    as_json: bool,
) -> None:
    """Find the samples of STORE that are nearest to an image, or to another sample.

    Images go through the backbone that the feature was extracted with; likeness is the cosine.

    \b
    featstore search birds.zarr --image unknown.jpg --features dinov2 --k 5
    featstore search birds.zarr --id train/wren/0001.jpg
    """
    from featstore.similar_samples import asked_features, nearest
    from featstore.store import FeatureStore

    if bool(images) == bool(ids):
        raise InvalidInputError("say what to look for: --image or --id")
    opened = FeatureStore.open(store)
    listed = None if features is None else [n.strip() for n in features.split(",") if n.strip()]
    names = asked_features(opened, listed)
    found = nearest(
        opened,
        images or None,
        ids=ids or None,
        features=names,
        k=k,
        split=split,
        target=target,
        backbones=moved_backbones(moved, names),
        engine=engine,
        device=device,
    )
    if as_json:
        document = {
            "features": found.features,
            "searched": found.n_searched,
            "neighbours": records(found.frame),
            "failed": found.failed,
        }
        echo_json(document)
    else:
        where = f"{found.n_searched} samples" + (f" of {split}" if split else "")
        for query, rows in found.frame.groupby("query", sort=False):
            title = f"{query}: the nearest of {where}, by {' + '.join(found.features)}"
            columns = ["id", *(name for name in rows if name not in ("query", "id"))]
            echo_table(rows[columns], title=title)
    for why in found.failed.values():
        echo_note(why)
    if found.failed:
        click.get_current_context().exit(SOME_FAILED)
