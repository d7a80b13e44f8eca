"""iNat21: the 2021 iNaturalist challenge, from its JSON files or from the names of its folders.

The layout is that of https://github.com/visipedia/inat_comp/tree/master/2021: ``train.json``,
``train_mini.json`` and ``val.json`` in the format of COCO, whose ``file_name`` lies below the
folder that holds them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featstore.datasets.folder import ImageFolder
from featstore.datasets.image_files import ImageFiles, describe, file_sizes
from featstore.datasets.label_columns import coded
from featstore.datasets.official import existing_folder, reported_split
from featstore.errors import InvalidInputError
from featstore.samples import Samples, Target
from featstore.suggest import did_you_mean

#: The usual training set comes first: a folder may hold both.
_TRAIN = ("train", "train_mini")
RANKS = ("genus", "family", "order", "class", "phylum", "kingdom")


def inat21(
    root: str | Path,
    *,
    train: str | None = None,
    val_as: str = "test",
    ranks: str | Sequence[str] = (),
) -> ImageFiles | ImageFolder:
    """Read iNat21, or another year's competition in the same format.

    Ids are paths below `root`, such as ``train/02912_Animalia_…/0a1b….jpg``.  The target
    ``species`` has the names of the folders (``image_dir_name``) as classes, in the order of the
    categories, so that `featstore taxonomy` can take the tree of life from them.

    Parameters
    ----------
    root
        Folder with ``train.json`` or ``train_mini.json``, ``val.json`` and the images; without JSON
        files the names of the folders are taken.
    train
        ``"train"`` or ``"train_mini"``; by default what is there, the larger one first.
    val_as
        See `featstore.datasets.official.reported_split`.
    ranks
        Further targets: any of genus, family, order, class, phylum and kingdom, or ``"all"``;
        with commas between them if it is text.

    Raises
    ------
    InvalidInputError
        If a file is missing or of another format, or listed images are not there.
    """
    root = existing_folder(root, "iNat21, with train.json and val.json")
    test = reported_split(val_as)
    chosen = _chosen(ranks)
    options = {"train": train, "val_as": val_as if val_as != "test" else None}
    options["ranks"] = ",".join(chosen) or None
    names = [name for name in ((train,) if train else _TRAIN) if (root / f"{name}.json").is_file()]
    if train and not names:
        raise InvalidInputError(f"there is no {root / train}.json")
    files = {"train": root / f"{names[0]}.json"} if names else {}
    if (root / "val.json").is_file():
        files[test] = root / "val.json"
    if not files:
        if chosen:
            raise InvalidInputError(
                f"the ranks {', '.join(chosen)} need the categories in a JSON file, and {root} has "
                "neither train.json nor val.json; featstore granularity takes them from the names"
            )
        return _from_folders(root, test, describe("inat21", root, root=root, **options))
    ids: list[str] = []
    splits: list[str] = []
    categories: list[Mapping[str, Any]] = []
    of_image: list[int] = []
    for split, file in files.items():
        listed, categories = _read(file, categories)
        ids += [name for name, _ in listed]
        of_image += [category for _, category in listed]
        splits += [split] * len(listed)
    place = {category["id"]: code for code, category in enumerate(categories)}
    codes = [place[category] for category in of_image]
    targets = {"species": coded(codes, [_name(category) for category in categories])}
    for rank in chosen:
        of_category = np.asarray([str(category[rank]) for category in categories])
        targets[rank] = Target.from_labels(of_category[codes].tolist())
    sizes = file_sizes(
        root,
        ids,
        listed_in=" and ".join(file.name for file in files.values()),
        hint="unpack train.tar.gz and val.tar.gz beside the JSON files",
    )
    samples = Samples(np.asarray(ids), np.asarray(splits), targets, sizes)
    return ImageFiles(root, samples, describe("inat21", root, root=root, **options))


def _chosen(ranks: str | Sequence[str]) -> tuple[str, ...]:
    given = tuple(rank for rank in ranks.split(",") if rank) if isinstance(ranks, str) else ranks
    if tuple(given) == ("all",):
        return RANKS
    for rank in given:
        if rank not in RANKS:
            raise InvalidInputError(f"there is no rank {rank!r}. {did_you_mean(rank, RANKS)}")
    return tuple(given)


def _read(
    file: Path, known: list[Mapping[str, Any]]
) -> tuple[list[tuple[str, int]], list[Mapping[str, Any]]]:
    """Return (file name, id of its category) of every image, and the categories."""
    try:
        document = json.loads(file.read_bytes())
        categories = sorted(document["categories"], key=lambda category: int(category["id"]))
        of_image = {a["image_id"]: a["category_id"] for a in document["annotations"]}
        images = [(str(image["file_name"]), image["id"]) for image in document["images"]]
        ids = [category["id"] for category in categories]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{file} is not in the format of an iNaturalist competition, with images, annotations "
            f"and categories: {error!r}"
        ) from error
    if unlabelled := [name for name, image in images if image not in of_image]:
        raise InvalidInputError(
            f"{len(unlabelled)} of {len(images)} images of {file} have no annotation, e.g. "
            f"{unlabelled[0]}"
        )
    if strange := set(of_image.values()) - set(ids):
        raise InvalidInputError(
            f"{file} has annotations of category {min(strange)}, without a name"
        )
    if known and [category["id"] for category in known] != ids:
        raise InvalidInputError(f"{file} has other categories than the file of the training images")
    return [(name, of_image[image]) for name, image in images], known or categories


def _name(category: Mapping[str, Any]) -> str:
    """Name of the folder; earlier years have none, and are named by the species."""
    return str(category.get("image_dir_name") or category["name"])


def _from_folders(root: Path, test: str, source: Mapping[str, Any]) -> ImageFolder:
    folder = ImageFolder.scan(root, target="species", hold_out=None)
    splits = np.where(folder.samples.splits == "val", test, folder.samples.splits)
    return ImageFolder(root, folder.samples.with_splits(splits), source)
