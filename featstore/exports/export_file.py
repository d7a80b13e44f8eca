"""export: features of a store become a file that other tools read."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.exports.sheet import Sheet
from featstore.new_file import checked_target
from featstore.store import FeatureStore

#: Suffix -> module and function in `featstore.exports`.
EXPORTS = {
    ".npy": "numpy_files:write_npy",
    ".npz": "numpy_files:write_npz",
    ".safetensors": "safetensors_file:write",
    ".parquet": "tables:write_parquet",
    ".arrow": "tables:write_arrow",
    ".h5ad": "h5ad:write",
    ".csv": "csv_file:write_csv",
}


@dataclass(frozen=True)
class Exported:
    """What one call of `export` wrote.

    Attributes
    ----------
    files
        All files, the one with the values first.
    features
        Names of the features, side by side in this order.
    shape
        (n, dim).
    dtype
        Precision of the values.
    nbytes
        Size of all files.
    """

    files: tuple[Path, ...]
    features: tuple[str, ...]
    shape: tuple[int, int]
    dtype: str
    nbytes: int


def export(
    store: FeatureStore,
    features: str | Sequence[str],
    out: str | Path,
    *,
    split: str | None = None,
    rows: NDArray[np.intp] | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write features, with ids, splits, labels and how they were made, to a file.

    Values are written as they are stored, a few megabytes at a time; `import_features` of the
    file gives the same bits and the same labels, except from CSV, which other tools read.

    Parameters
    ----------
    store
        Where the features are.
    features
        One name, or several to put side by side.
    out
        ``.npy`` (with ``.ids.txt`` and ``.json`` beside it), ``.npz``, ``.safetensors``,
        ``.parquet``, ``.arrow``, ``.h5ad`` or ``.csv``.
    split
        Samples of this split only.
    rows
        These rows of the store, instead of a split.
    overwrite
        Replace an existing file.

    Raises
    ------
    InvalidInputError
        If the suffix is not known, there is nothing to write, or the file exists.
    StorageError
        If the disk refuses; there is then no file, or the old one.
    """
    path = checked_target(out, EXPORTS, what="features", overwrite=overwrite)
    sheet = Sheet.of(store, store.view(features, split=split, rows=rows))
    if not sheet.shape[0]:
        raise InvalidInputError(f"{store.location} has no such rows with values: nothing to export")
    module, _, function = EXPORTS[path.suffix.lower()].partition(":")
    write: Callable[[Sheet, Path], list[Path]] = getattr(
        importlib.import_module(f"featstore.exports.{module}"), function
    )
    files = write(sheet, path)
    return Exported(
        files=tuple(files),
        features=sheet.view.names,
        shape=sheet.shape,
        dtype=sheet.view.dtype.name,
        nbytes=sum(file.stat().st_size for file in files),
    )
