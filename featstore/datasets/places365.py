"""Places365, from its official lists.

The layout is that of http://places2.csail.mit.edu/download-private.html:
``filelist_places365-standard`` with ``places365_train_standard.txt``, ``places365_val.txt`` and
``categories_places365.txt``, beside ``data_256`` and ``val_256`` (small images, as in Cole et al.
2022) or ``data_large`` and ``val_large``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from featstore.datasets.image_files import ImageFiles, describe, file_sizes
from featstore.datasets.label_columns import coded
from featstore.datasets.official import existing_folder, reported_split
from featstore.errors import InvalidInputError
from featstore.samples import Samples, Target

_CATEGORIES = "categories_places365.txt"
_INDOOR = "IO_places365.txt"
_TRAIN = ("places365_train_standard.txt", "places365_train_challenge.txt")
_VAL = "places365_val.txt"
_SIZES = ("256", "large")
_KINDS = {1: "indoor", 2: "outdoor"}


def places365(
    root: str | Path,
    *,
    lists: str | Path | None = None,
    size: str | None = None,
    val_as: str = "test",
) -> ImageFiles:
    """Read Places365.

    Ids are paths below `root`, such as ``data_256/a/airfield/00000001.jpg``.  The target ``scene``
    has the 365 official names (``/a/airfield``) in the official order; where ``IO_places365.txt``
    is beside the lists, a second target ``indoor_outdoor`` has its kinds.

    Parameters
    ----------
    root
        Folder that holds ``data_256`` and ``val_256``, or ``data_large`` and ``val_large``.
    lists
        Folder of the lists; by default `root` or a folder in it.
    size
        ``"256"`` or ``"large"``; by default what is there, the small ones first.
    val_as
        See `featstore.datasets.official.reported_split`.

    Raises
    ------
    InvalidInputError
        If a list is missing or of another format, or listed images are not there.
    """
    root = existing_folder(root, "Places365, with data_256 and val_256")
    folder = _folder_of_lists(root) if lists is None else existing_folder(lists, "the lists")
    test = reported_split(val_as)
    if size not in (None, *_SIZES):
        raise InvalidInputError(f"Places365 has images of size 256 and large, not {size!r}")
    sizes = [s for s in ([size] if size else _SIZES) if (root / f"val_{s}").is_dir()]
    if not sizes:
        wanted = " or ".join(f"val_{s}" for s in ([size] if size else _SIZES))
        raise InvalidInputError(f"there is no {wanted} in {root}")
    classes = _in_order(folder / _CATEGORIES)
    listed: list[tuple[str, int, str]] = []
    train = next((folder / name for name in _TRAIN if (folder / name).is_file()), None)
    if train is not None:
        images = _train_folder(root, sizes[0])
        listed += [(images + name, code, "train") for name, code in _pairs(train)]
    listed += [(f"val_{sizes[0]}/{name}", code, test) for name, code in _pairs(folder / _VAL)]
    codes = [code for _, code, _ in listed]
    targets = {"scene": coded(codes, classes)}
    if (folder / _INDOOR).is_file():
        targets["indoor_outdoor"] = _kinds(folder / _INDOOR, classes, codes)
    ids = [name for name, _, _ in listed]
    marks = file_sizes(
        root, ids, listed_in=f"the lists in {folder}", hint="unpack the archives there"
    )
    samples = Samples(np.asarray(ids), np.asarray([s for _, _, s in listed]), targets, marks)
    source = describe(
        "places365",
        root,
        root=root,
        lists=None if lists is None else folder.resolve(),
        size=size,
        val_as=val_as if val_as != "test" else None,
    )
    return ImageFiles(root, samples, source)


def _folder_of_lists(root: Path) -> Path:
    found = sorted(
        {file.parent for file in [*root.glob(_CATEGORIES), *root.glob(f"*/{_CATEGORIES}")]}
    )
    if not found:
        raise InvalidInputError(
            f"there is no {_CATEGORIES} in {root} or a folder in it; unpack "
            "filelist_places365-standard.tar there, or say where it is (places365:ROOT?lists=…)"
        )
    if len(found) > 1:
        shown = " and ".join(str(folder) for folder in found[:2])
        raise InvalidInputError(f"there are lists in {shown}; say which (places365:ROOT?lists=…)")
    return found[0]


def _train_folder(root: Path, size: str) -> str:
    """Folder of the training images: as in the archive, or as torchvision renames it."""
    for name in (f"data_{size}", f"data_{size}_standard", f"data_{size}_challenge"):
        if (root / name).is_dir():
            return name
    raise InvalidInputError(f"there is no data_{size} in {root}, whose images the list names")


def _pairs(file: Path) -> list[tuple[str, int]]:
    """Read lines of a name and a number."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"{file} cannot be read: {error.strerror}") from error
    pairs = []
    for number, line in enumerate(text.splitlines(), 1):
        name, _, code = line.strip().rpartition(" ")
        if not (name and code.isdecimal()):
            raise InvalidInputError(
                f"line {number} of {file} is {line.strip()!r}; expected a name and a number, as in "
                "'/a/airfield 0'"
            )
        pairs.append((name, int(code)))
    if not pairs:
        raise InvalidInputError(f"{file} is empty")
    return pairs


def _in_order(file: Path) -> list[str]:
    """Read the names of the classes, whose numbers are 0, 1, 2 and so on."""
    pairs = sorted(_pairs(file), key=lambda pair: pair[1])
    if [code for _, code in pairs] != list(range(len(pairs))):
        raise InvalidInputError(
            f"the numbers of the classes in {file} are not 0 to {len(pairs) - 1}"
        )
    return [name for name, _ in pairs]


def _kinds(file: Path, classes: list[str], codes: list[int]) -> Target:
    kinds = dict(_pairs(file))
    if unknown := [name for name in classes if kinds.get(name) not in _KINDS]:
        raise InvalidInputError(
            f"{file} does not say 1 (indoor) or 2 (outdoor) for {len(unknown)} of {len(classes)} "
            f"classes, e.g. {unknown[0]}"
        )
    of_class = np.asarray([kinds[name] - 1 for name in classes])
    return coded(of_class[codes], tuple(_KINDS.values()))
