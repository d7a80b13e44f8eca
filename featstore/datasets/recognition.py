"""Recognition: what kind of data set lies at a place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from featstore.datasets.idx import is_idx_folder
from featstore.datasets.table import ImageTable
from featstore.errors import InvalidInputError
from featstore.location import is_url

#: First bytes of an iNaturalist competition's JSON are enough of it.
_JSON_BYTES = 1 << 16


def recognised(place: str) -> str:
    """Return the kind of data set at a path or URL, from names and beginnings of files.

    Parameters
    ----------
    place
        A path, a URL, or a pattern of tar files.

    Returns
    -------
    kind
        One of `featstore.datasets.opening.KINDS`.

    Raises
    ------
    InvalidInputError
        If it could be of several kinds, or a URL is no tar file.
    """
    path = Path(place)
    if place.endswith(".tar") or (place.endswith(".json") and is_url(place)):
        return "wds"
    if is_url(place):
        raise InvalidInputError(
            f"images are read from this machine, or from tar files (wds:{place.rstrip('/')}/….tar)"
        )
    if path.suffix.lower() in ImageTable.SUFFIXES:
        return "table"
    if not path.is_dir():
        return "folder"  # which says what is wrong
    found = [kind for kind, seen in _SIGNS.items() if seen(path)]
    if len(found) > 1:
        raise InvalidInputError(
            f"{place} could be {' or '.join(found)}; say which: "
            f"{' or '.join(f'{kind}:{place}' for kind in found)}"
        )
    return found[0] if found else "folder"


def _is_inat(root: Path) -> bool:
    for name in ("val.json", "train.json", "train_mini.json"):
        if (root / name).is_file():
            with (root / name).open("rb") as file:
                beginning = file.read(_JSON_BYTES)
            return b'"file_name"' in beginning or b'"categories"' in beginning
    return False


def _is_imagenet(root: Path) -> bool:
    kit = ("ILSVRC2012_devkit_t12", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC", "LOC_val_solution.csv")
    return any((root / name).exists() for name in kit) or any(
        (root / "val").glob("ILSVRC2012_val_00000001.JPEG")
    )


def _is_places(root: Path) -> bool:
    return any(root.glob("categories_places365.txt")) or any(
        root.glob("*/categories_places365.txt")
    )


def _is_geolifeclef(root: Path) -> bool:
    return any(
        (root / folder / f"{folder}_{region}_train.csv").is_file()
        for folder in ("observations", "occurrences")
        for region in ("us", "fr")
    )


def _is_hugging_face(root: Path) -> bool:
    return (root / "dataset_dict.json").is_file() or (
        (root / "dataset_info.json").is_file() and (root / "state.json").is_file()
    )


def _has_tars(root: Path) -> bool:
    # ImageNet's own tar files lie beside what was unpacked from them.
    entries = list(root.iterdir())
    return any(e.suffix == ".tar" for e in entries) and not any(e.is_dir() for e in entries)


_SIGNS: dict[str, Callable[[Path], bool]] = {
    "inat21": _is_inat,
    "imagenet": _is_imagenet,
    "places365": _is_places,
    "geolifeclef": _is_geolifeclef,
    "hf": _is_hugging_face,
    "idx": is_idx_folder,
    "wds": _has_tars,
}
