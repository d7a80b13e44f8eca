"""ImageNet (ILSVRC 2012), with the development kit or with the validation images in folders.

The layouts are those of the original tar files (``train/n01440764/*.JPEG`` from one tar file per
class, ``val/ILSVRC2012_val_*.JPEG`` side by side, ``ILSVRC2012_devkit_t12/data`` with the labels),
of Kaggle (``Data/CLS-LOC/{train,val}`` and ``LOC_val_solution.csv``), and of those who have sorted
the validation images into folders of their synsets.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from featstore.datasets.folder import listed_images
from featstore.datasets.image_files import ImageFiles, describe
from featstore.datasets.official import existing_folder, reported_split
from featstore.errors import InvalidInputError
from featstore.samples import Samples, Target

_DEVKITS = ("ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12/ILSVRC2012_devkit_t12", "devkit", ".")
_SOLUTION = "LOC_val_solution.csv"
_SYNSET = re.compile(r"n\d{8}")


def imagenet(
    root: str | Path, *, devkit: str | Path | None = None, val_as: str = "test"
) -> ImageFiles:
    """Read ImageNet.

    Ids are paths below the folder that holds ``train`` and ``val``, such as
    ``val/ILSVRC2012_val_00000001.JPEG``.  Classes are synsets (n01440764), sorted, as the usual
    thousand codes are.

    Parameters
    ----------
    root
        Folder with ``train`` and ``val``, or Kaggle's with ``Data/CLS-LOC``.
    devkit
        The unpacked development kit, or Kaggle's ``LOC_val_solution.csv``; by default looked for in
        and beside `root`.  Only needed where the validation images are not in folders.
    val_as
        See `featstore.datasets.official.reported_split`.

    Raises
    ------
    InvalidInputError
        If images lie elsewhere, or a validation image has no label.
    """
    given = existing_folder(root, "ImageNet, with train and val")
    test = reported_split(val_as)
    kaggle = [given / part for part in ("Data/CLS-LOC", "ILSVRC/Data/CLS-LOC")]
    folder = next((place for place in kaggle if place.is_dir()), given)
    if not any((folder / split).is_dir() for split in ("train", "val")):
        raise InvalidInputError(f"{given} has neither train nor val, nor Kaggle's Data/CLS-LOC")
    # Test images of Kaggle's archive have no labels.
    found = sorted(
        (f"{split}/{name}", size)
        for split in ("train", "val")
        if (folder / split).is_dir()
        for name, size in listed_images(folder / split)
    )
    if not found:
        raise InvalidInputError(f"there are no images in {folder}/train and {folder}/val")
    names = [name for name, _ in found]
    flat = [name for name in names if name.startswith("val/") and name.count("/") == 1]
    truth = _validation_labels(given, folder, devkit) if flat else {}
    labels = [_label(name, truth, folder) for name in names]
    splits = ["train" if name.startswith("train/") else test for name in names]
    samples = Samples(
        np.asarray(names),
        np.asarray(splits),
        {"label": Target.from_labels(labels)},
        np.asarray([size for _, size in found], np.uint64),
    )
    source = describe(
        "imagenet",
        given,
        root=folder,
        devkit=None if devkit is None else Path(devkit).resolve(),
        val_as=val_as if val_as != "test" else None,
    )
    return ImageFiles(folder, samples, source)


def _label(name: str, truth: Mapping[str, str], folder: Path) -> str:
    parts = name.split("/")
    label = parts[1] if len(parts) > 2 else truth.get(Path(parts[-1]).stem, "")
    if not _SYNSET.fullmatch(label):
        raise InvalidInputError(
            f"{folder / name} has no label: it is neither in the folder of a synset such as "
            "n01440764 nor among the validation images of the development kit"
        )
    return label


def _validation_labels(root: Path, folder: Path, devkit: str | Path | None) -> dict[str, str]:
    """Return the synset of each validation image, by its name without ``.JPEG``."""
    if devkit is not None:
        place = Path(devkit)
        return _solution(place) if place.suffix == ".csv" else _devkit(place)
    for parent in dict.fromkeys((root, folder, root.parent, *root.parents[:2])):
        if (parent / _SOLUTION).is_file():
            return _solution(parent / _SOLUTION)
        for name in _DEVKITS:
            if (parent / name / "data" / "meta.mat").is_file():
                return _devkit(parent / name)
    raise InvalidInputError(
        f"the validation images in {folder / 'val'} are not in folders of their classes, and "
        f"neither ILSVRC2012_devkit_t12 nor {_SOLUTION} is in {root} or beside it; say where it is "
        "(imagenet:ROOT?devkit=…)"
    )


def _devkit(place: Path) -> dict[str, str]:
    from scipy.io import loadmat

    meta = place / "data" / "meta.mat"
    truth = place / "data" / "ILSVRC2012_validation_ground_truth.txt"
    try:
        synsets = loadmat(meta, squeeze_me=True)["synsets"]
        synset = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
        codes = [int(line) for line in truth.read_text().split()]
        return {
            f"ILSVRC2012_val_{number:08d}": synset[code] for number, code in enumerate(codes, 1)
        }
    except (OSError, ValueError, KeyError, IndexError, TypeError, NotImplementedError) as error:
        raise InvalidInputError(
            f"{place} is not the development kit of ILSVRC 2012, with data/{meta.name} and "
            f"data/{truth.name}: {error!r}"
        ) from error


def _solution(file: Path) -> dict[str, str]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return {
                row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(lines)
            }
    except (OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise InvalidInputError(
            f"{file} is not Kaggle's table of ImageId and PredictionString: {error!r}"
        ) from error
