"""GeoLifeCLEF: aerial patches with the land cover below them, of 2020 (GLC20) and of 2021 and 2022.

Layouts, as published (for observation XXXXABCD, in folders CD/AB):

- 2020 (Cole et al., arXiv:2004.04192): ``occurrences/occurrences_{us,fr}_{train,test}.csv`` with
  ``id;lat;lon;species_id``; ``patches_{us,fr}/…/CD/AB/XXXXABCD.npy``, uint8 of shape (256, 256, 5):
  red, green, blue, near infra-red, land cover.  The American archives unpack to folders
  ``patches_us_01`` to ``patches_us_20`` of five CD each.
- 2021 and 2022 (Kaggle): ``observations/observations_{us,fr}_{train,test}.csv`` with
  ``observation_id;latitude;longitude;species_id;subset``; ``patches-{us,fr}`` or
  ``patches/{us,fr}`` with ``CD/AB/XXXXABCD_rgb.jpg`` and ``…_landcover.tif``;
  ``metadata/landcover_original_labels.csv``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featstore.bands import Bands
from featstore.datasets.image_files import ImageFiles, describe, file_sizes
from featstore.datasets.land_cover import land_cover, land_cover_target, read_vectors
from featstore.datasets.official import existing_folder, reported_split
from featstore.errors import InvalidInputError
from featstore.samples import Samples, Target

if TYPE_CHECKING:
    import pandas as pd

_REGIONS = ("us", "fr")
_NAMES = "metadata/landcover_original_labels.csv"
_IDS = ("observation_id", "id")
#: Folders of five CD that the American archives of 2020 unpack to.
_CD_PER_FOLDER = 5


def geolifeclef(
    root: str | Path,
    *,
    region: str = "us",
    val_as: str = "test",
    vectors: str | Path | None = None,
    species: str = "no",
) -> ImageFiles:
    """Read GeoLifeCLEF as the paper does: which land cover is there any of in a patch.

    Ids are paths of the RGB patches below `root`.  The target ``land_cover`` is multi-label: a
    class is present where its share of the patch is above 0 (Cole et al. 2022, C.1, who take the
    American half, with 16 classes).

    Parameters
    ----------
    root
        Folder with ``occurrences`` or ``observations``, and the patches.
    region
        ``"us"``, ``"fr"`` or ``"us,fr"``, whose land-cover codes differ.
    val_as
        See `featstore.datasets.official.reported_split`.  Without a column ``subset``, all labelled
        observations are training rows.
    vectors
        Table of the share of each class, with the column ``observation_id`` or ``id`` (CSV or
        Parquet); `featstore.datasets.land_cover_vectors` makes it.  By default every patch is
        opened to count its land cover, on every call.
    species
        ``"yes"`` for a second target, the number of the observed species.

    Raises
    ------
    InvalidInputError
        If tables or patches are missing or of another form.
    """
    root = existing_folder(root, "GeoLifeCLEF, with observations (or occurrences) and patches")
    if species not in ("yes", "no"):
        raise InvalidInputError(f"species={species!r}: expected yes or no")
    frame = observations(root, region=region, val_as=val_as)
    ids = frame["patch"].tolist()
    arrays = ids[0].endswith(".npy")
    sizes = file_sizes(
        root, ids, listed_in="the tables of observations", hint="unpack the patches of this region"
    )
    if vectors is None:
        shares = land_cover([root / _cover(name) for name in ids])
    else:
        shares = read_vectors(vectors, frame["observation"].tolist())
    targets: dict[str, Target] = {"land_cover": land_cover_target(shares, root / _NAMES)}
    if species == "yes":
        targets["species"] = Target.from_labels([f"{int(s)}" for s in frame["species_id"]])
    samples = Samples(np.asarray(ids), np.asarray(frame["split"].tolist()), targets, sizes)
    source = describe(
        "geolifeclef",
        root,
        root=root,
        region=region if region != "us" else None,
        val_as=val_as if val_as != "test" else None,
        vectors=None if vectors is None else Path(vectors).resolve(),
        species=species if species != "no" else None,
    )
    # The arrays have red, green and blue in front.
    return ImageFiles(root, samples, source, Bands() if arrays else None)


def land_cover_vectors(
    root: str | Path, *, region: str = "us", workers: int | None = None
) -> pd.DataFrame:
    """Count the land cover of every patch, once, for the option `vectors` of `geolifeclef`.

    Parameters
    ----------
    root, region
        As of `geolifeclef`.
    workers
        Threads that read; the number of cores by default.

    Returns
    -------
    vectors
        Column ``observation_id``, and one for each land-cover code with its share of the patch.
    """
    root = existing_folder(root, "GeoLifeCLEF")
    frame = observations(root, region=region, val_as="test")
    shares = land_cover([root / _cover(name) for name in frame["patch"]], workers=workers)
    shares.insert(0, "observation_id", frame["observation"].tolist())
    return shares


def observations(root: Path, *, region: str, val_as: str) -> pd.DataFrame:
    """Read the labelled observations.

    Parameters
    ----------
    root, region, val_as
        As of `geolifeclef`.

    Returns
    -------
    frame
        Columns ``observation``, ``patch`` (path below `root`), ``split`` and ``species_id``.
    """
    import pandas as pd

    reported = reported_split(val_as)
    regions = region.split(",")
    if unknown := [name for name in regions if name not in _REGIONS]:
        raise InvalidInputError(f"GeoLifeCLEF has the regions us and fr, not {unknown[0]!r}")
    parts = []
    for name in regions:
        file = _table(root, name)
        table = _read(file)
        column = next((column for column in _IDS if column in table), None)
        if column is None or "species_id" not in table:
            raise InvalidInputError(
                f"{file} has the columns {', '.join(map(str, table.columns))}; expected "
                f"{' or '.join(_IDS)}, and species_id, separated by semicolons"
            )
        numbers = table[column].astype(str)
        paths = _paths(root, name, file)
        split = table["subset"] if "subset" in table else pd.Series("train", table.index)
        parts.append(
            pd.DataFrame(
                {
                    "observation": numbers,
                    "patch": [paths(number) for number in numbers],
                    "split": split.replace("val", reported),
                    "species_id": table["species_id"],
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    if frame.empty:
        raise InvalidInputError(f"the tables of observations in {root} are empty")
    return frame


def _table(root: Path, region: str) -> Path:
    for what in ("observations", "occurrences"):
        for folder in (root / what, root):
            if (file := folder / f"{what}_{region}_train.csv").is_file():
                return file
    raise InvalidInputError(
        f"there is neither observations/observations_{region}_train.csv (2021, 2022) nor "
        f"occurrences/occurrences_{region}_train.csv (2020) in {root}"
    )


def _read(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(file, sep=";")
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{file} cannot be read as a table: {error}") from error


def _paths(root: Path, region: str, table: Path) -> Callable[[str], str]:
    """Return a function from an observation's number to the path of its patch below `root`."""
    if table.name.startswith("observations"):
        folder = next(
            (name for name in (f"patches-{region}", f"patches/{region}") if (root / name).is_dir()),
            None,
        )
        if folder is None:
            raise InvalidInputError(f"there is no patches-{region} in {root}")
        return lambda number: f"{folder}/{number[-2:]}/{number[-4:-2]}/{number}_rgb.jpg"
    folder = f"patches_{region}"
    if not (root / folder).is_dir():
        raise InvalidInputError(f"there is no {folder} in {root}")
    archives = any((root / folder).glob(f"{folder}_[0-9]*"))

    def path(number: str) -> str:
        part = f"{folder}_{int(number[-2:]) // _CD_PER_FOLDER + 1:02d}/" if archives else ""
        return f"{folder}/{part}{number[-2:]}/{number[-4:-2]}/{number}.npy"

    return path


def _cover(patch: str) -> str:
    """File that has the land cover of a patch."""
    return patch.replace("_rgb.jpg", "_landcover.tif")
