"""HDF5: any file with a matrix of features, and the files of TRIDENT.

TRIDENT (mahmoodlab) writes one file per slide: ``features`` of shape (patches, dim) with
``coords`` of shape (patches, 2), or, for slide encoders, one vector ``features`` of shape (dim,).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.imports.files import as_text, guarded, readable
from featstore.imports.source import Column, Source, chosen_key
from featstore.imports.values import MappedValues, RangedValues, check_floats
from featstore.optional import import_optional

_KIND = "an HDF5 file"


def read(path: Path, key: str | None) -> Source:
    """Read one file; the data sets with one entry per row are its columns."""
    with opened(path) as file:
        arrays = {
            name: (tuple(data.shape), data.dtype.name) for name, data in datasets(file).items()
        }
        if key in (None, "features") and len(arrays.get("features", ((), ""))[0]) == 1:
            return _slide(path, np.asarray(file["features"][()]))
    key = chosen_key(arrays, key, path)
    values = dataset_values(path, key, *arrays[key])
    others = {name: shape[0] for name, (shape, _) in arrays.items() if name != key and shape}
    columns: dict[str, Column] = {
        name: partial(column, path, name) for name, n in others.items() if n == values.shape[0]
    }
    misfits = {name: n for name, n in others.items() if n != values.shape[0]}
    if arrays.get("coords", ((), ""))[0] != (values.shape[0], 2):
        return Source(values, "HDF5 file", columns, misfits)
    columns["patch"] = partial(_patches, path)
    return Source(values, "TRIDENT patches", columns, ids="patch")


def opened(path: Path) -> Any:
    """Open a file for reading; a context manager that closes it."""
    h5py = import_optional("h5py", extra="hdf5")
    with readable(path, _KIND):
        return h5py.File(path, "r")


def datasets(group: Any) -> dict[str, Any]:
    """All data sets below a group by their path."""
    h5py = import_optional("h5py", extra="hdf5")
    found: dict[str, Any] = {}

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = node

    group.visititems(visit)
    return found


def dataset_values(path: Path, name: str, shape: tuple[int, ...], dtype: str) -> RangedValues:
    """Return a data set as values that are read by ranges."""
    matrix = check_floats(shape, dtype, f"{name!r} in {path}")
    return RangedValues(matrix, dtype, guarded(path, _KIND, partial(_rows, path, name)))


def column(path: Path, name: str) -> Any:
    """Read one data set as a whole, text as text."""
    with readable(path, _KIND), opened(path) as file:
        return as_text(file[name][()])


def _rows(path: Path, name: str, start: int, stop: int) -> NDArray[Any]:
    # Opened for every range: a folder of slides has more files than a process may keep open.
    with opened(path) as file:
        return np.asarray(file[name][start:stop])


def _slide(path: Path, vector: NDArray[Any]) -> Source:
    """One vector for a whole slide: one row, named by the file."""
    check_floats((1, len(vector)), vector.dtype.name, f"'features' in {path}")
    columns: dict[str, Column] = {"slide": partial(list, [path.stem])}
    return Source(MappedValues(vector[None, :]), "TRIDENT slide", columns, ids="slide")


def _patches(path: Path) -> list[str]:
    return [f"{path.stem}/{x}_{y}" for x, y in column(path, "coords").tolist()]
