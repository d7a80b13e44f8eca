"""Images that are files below one folder, listed by whoever published them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.bands import Bands
from featstore.errors import InvalidInputError
from featstore.samples import Samples


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """A data set of files, whose ids are their paths below `root`.

    Attributes
    ----------
    root
        The folder.
    samples, source
        See `featstore.dataset.Dataset`.
    bands
        Which bands of the files are shown, where they have others than usual images.
    """

    root: Path
    samples: Samples
    source: Mapping[str, Any]
    bands: Bands | None = None

    def image(self, row: int) -> Path | NDArray[np.uint8]:
        """Return the file of a row, or the chosen bands of it, shape (h, w, 3)."""
        path = self.root / str(self.samples.ids[row])
        return path if self.bands is None else self.bands.rgb(path)


def file_sizes(
    root: str | Path, names: Sequence[str], *, listed_in: str | Path, hint: str
) -> NDArray[np.uint64]:
    """Return the sizes of listed files in bytes, which mark their content; shape (n,).

    Parameters
    ----------
    root
        Folder that the names are relative to.
    names
        Of the files, length n.
    listed_in, hint
        For the error: what lists them, and what to do.

    Raises
    ------
    InvalidInputError
        If some are not there; all are counted, the first one is named.
    """
    sizes, missing = np.zeros(len(names), np.uint64), []
    prefix = os.path.join(os.fspath(root), "")  # noqa: PTH118  a Path for each takes most of the time
    for row, name in enumerate(names):
        try:
            sizes[row] = os.stat(prefix + name).st_size  # noqa: PTH116
        except (OSError, ValueError):
            missing.append(name)
    if missing:
        raise InvalidInputError(
            f"{len(missing)} of {len(names)} images of {listed_in} are not below {root}, e.g. "
            f"{missing[0]}; {hint}"
        )
    return sizes


def describe(
    kind: str, place: str | Path, *, root: str | Path | None = None, **options: object
) -> dict[str, Any]:
    """Return the `source` of a data set: its kind, and what opens it again.

    Parameters
    ----------
    kind
        A name of `featstore.datasets.kinds`.
    place
        What stands behind it, as in ``kind:place``; a path becomes absolute.
    root
        Folder that the ids are relative to, if they are paths.
    options
        Those that are None are left out.

    Examples
    --------
    >>> describe("places365", "/data/places", val_as="val", size=None)["place"]
    'places365:/data/places?val_as=val'
    """
    if isinstance(place, Path):
        place = place.resolve()
    given = "&".join(f"{key}={value}" for key, value in options.items() if value is not None)
    source: dict[str, Any] = {"kind": kind, "place": f"{kind}:{place}{'?' * bool(given)}{given}"}
    if root is not None:
        source["root"] = str(Path(root).resolve())
    return source
