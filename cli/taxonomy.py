"""`featstore taxonomy`: a taxonomy from one of its usual sources."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import pandas as pd

from featstore.cli.output import echo_json, echo_note, echo_table, json_option, records

if TYPE_CHECKING:
    from featstore.taxonomy import Taxonomy

KINDS = (
    "csv",
    "parents",
    "folders",
    "imagenet",
    "inat",
    "inat-folders",
    "places365",
    "places365-indoor",
)


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Write it here, as JSON.")
@click.option(
    "--for",
    "store",
    help="A store: take the classes, and what they are called, from its target.",
)
@click.option("--target", help="Label column of that store [default: its only one].")
@click.option(
    "--multiple-parents",
    is_flag=True,
    help="csv: a class may have several parents, one on each row.  imagenet: keep all hypernyms.",
)
@click.option(
    "--check", metavar="DATASET", help="Compare with the numbers of classes in the paper."
)
@json_option
def command(
    kind: str,
    source: Path,
    out: Path | None,
    store: str | None,
    target: str | None,
    multiple_parents: bool,
    check: str | None,
    as_json: bool,
) -> None:
    """Read a taxonomy from SOURCE, show its levels and write it for the other commands.

    \b
    csv               a column per level, finest first
    parents           two columns: node, parent; levels are depths
    folders           images in nested folders; levels are depths
    imagenet          a folder with WordNet 3.0, e.g. /usr/share/wordnet
    inat              categories of an iNaturalist competition (val.json)
    inat-folders      folders named as in iNat21
    places365         the scene hierarchy as CSV
    places365-indoor  IO_places365.txt
    """
    classes = None if store is None else _classes(store, target)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        taxonomy = _read(kind, source, classes, multiple_parents=multiple_parents)
    for warning in said:
        echo_note(str(warning.message))
    if classes is not None:
        taxonomy.codes(classes)  # says which are missing
    if check is not None:
        from featstore.taxonomies import check_published

        check_published(taxonomy, check)
    if out is not None:
        taxonomy.to_file(out)
    several = [sum(len(codes) > 1 for codes in parents) for parents in (*taxonomy.parents, ())]
    frame = pd.DataFrame(
        {
            "level": taxonomy.levels,
            "n_classes": [len(names) for names in taxonomy.names],
            "with_several_parents": several,
            "e.g.": [", ".join(names[:3]) for names in taxonomy.names],
        }
    )
    if as_json:
        echo_json({"out": None if out is None else str(out), "levels": records(frame)})
        return
    echo_table(frame if any(several) else frame.drop(columns="with_several_parents"))
    if out is None:
        echo_note("nothing was written; --out FILE.json writes the taxonomy")


def _read(
    kind: str, path: Path, classes: Sequence[str] | None, *, multiple_parents: bool
) -> Taxonomy:
    from featstore import taxonomies
    from featstore.taxonomy import Taxonomy

    match kind:
        case "csv":
            return Taxonomy.from_csv(path, multiple_parents=multiple_parents)
        case "parents":
            return taxonomies.parent_table(path, classes)
        case "folders":
            by_path = classes is None or any("/" in name for name in classes)
            return taxonomies.from_folders(path, names="path" if by_path else "last")
        case "imagenet":
            return taxonomies.imagenet(
                path, classes, parents="all" if multiple_parents else "first"
            )
        case "inat":
            return taxonomies.inat_categories(path, name=_inat_field(classes))
        case "inat-folders":
            names = sorted(folder.name for folder in path.iterdir() if folder.is_dir())
            return taxonomies.inat_folders(classes or names)
        case "places365":
            return taxonomies.places365(path, classes)
        case _:
            return taxonomies.places365_indoor(path, classes)


def _inat_field(classes: Sequence[str] | None) -> Literal["image_dir_name", "name", "id"]:
    """Tell what the classes are called by: folders, numbers or scientific names."""
    if classes is None or all("_" in name for name in classes):
        return "image_dir_name"
    return "id" if all(name.isdecimal() for name in classes) else "name"


def _classes(store: str, target: str | None) -> tuple[str, ...]:
    from featstore.store import FeatureStore

    return FeatureStore.open(store).target(target)[1].classes
