"""thingsvision: ``features.{npy,pt,hdf5,mat,txt}`` or numbered parts, with ``file_names.txt``.

Extraction to disk writes ``MODULE/features_0-1000.npy`` below the folder of the file names;
`save_features` writes one file, or ``features_01.npy`` and so on, beside them.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.imports.column_file import read_column
from featstore.imports.files import in_order, readable
from featstore.imports.hdf5 import dataset_values, datasets, opened
from featstore.imports.numpy_files import read_npy
from featstore.imports.source import Column, Source
from featstore.imports.torch_files import read as read_torch
from featstore.imports.values import MappedValues, StackedValues, Values, check_floats

_LAYOUT = "thingsvision folder"
_SUFFIXES = (".npy", ".pt", ".hdf5", ".mat", ".txt")
#: What thingsvision takes off a file's name to name a MATLAB variable.
_IMAGE = re.compile(r".(eps|jpg|JPG|jpeg|JPEG|png|PNG|tif|tiff)$")


def read(path: Path, key: str | None) -> Source:
    """Read the folder; `key` names the module where several were extracted."""
    folder = _module_folder(path, key)
    files = _feature_files(folder)
    listed = next(
        (
            place / "file_names.txt"
            for place in (folder, folder.parent)
            if (place / "file_names.txt").is_file()
        ),
        None,
    )
    names = None if listed is None else [n for n in read_column(str(listed)) if n]
    if files[0].suffix == ".mat":
        values, names = _matlab(files, names)
    else:
        parts = [part for file in files for part in _values(file)]
        values = StackedValues(parts) if len(parts) > 1 else parts[0]
    columns: dict[str, Column] = {}
    if names is not None:
        columns["file_names"] = partial(list, names)
    return Source(values, _LAYOUT, columns, ids="file_names" if names is not None else None)


def _module_folder(path: Path, key: str | None) -> Path:
    if key is not None:
        if not _feature_files(path / key):
            raise InvalidInputError(f"{path} has no features of a module {key!r}")
        return path / key
    if _feature_files(path):
        return path
    modules = sorted(child for child in path.iterdir() if child.is_dir() and _feature_files(child))
    if len(modules) != 1:
        names = ", ".join(child.name for child in modules)
        raise InvalidInputError(
            f"{path} holds the features of several modules; choose one with --key: {names}"
            if modules
            else f"no features*.npy, .pt, .hdf5, .mat or .txt in {path}"
        )
    return modules[0]


def _feature_files(folder: Path) -> list[Path]:
    """Files of one suffix, in the order of their rows."""
    if not folder.is_dir():
        return []
    for suffix in _SUFFIXES:
        files = [file for file in in_order(folder, suffix) if file.stem.startswith("features")]
        if files:
            return files
    return []


def _values(file: Path) -> list[Values]:
    if file.suffix == ".npy":
        return [read_npy(file, None).values]
    if file.suffix == ".pt":
        return [read_torch(file, None).values]
    if file.suffix == ".hdf5":
        with opened(file) as h5:
            arrays = {name: (data.shape, data.dtype.name) for name, data in datasets(h5).items()}
        return [dataset_values(file, name, *arrays[name]) for name in sorted(arrays)]
    with readable(file, "a text file of numbers"):
        array = np.loadtxt(file, ndmin=2)
    check_floats(array.shape, array.dtype.name, str(file))
    return [MappedValues(array)]


def _matlab(files: list[Path], names: list[str] | None) -> tuple[Values, list[str] | None]:
    """Read one matrix, or one variable per image, named by its file without the suffix."""
    import scipy.io

    found: dict[str, NDArray[Any]] = {}
    for file in files:
        with readable(file, "a MATLAB file"):
            content = scipy.io.loadmat(file)
        found |= {name: value for name, value in content.items() if not name.startswith("__")}
    if set(found) == {"features"}:
        array = found["features"]
    elif names is None:
        names, array = list(found), np.vstack(list(found.values()))
    else:
        missing = [name for name in names if _IMAGE.sub("", name) not in found]
        if missing:
            raise InvalidInputError(
                f"{files[0].parent} has no features of {len(missing)} of {len(names)} files in "
                f"file_names.txt, e.g. {missing[0]}"
            )
        array = np.vstack([found[_IMAGE.sub("", name)] for name in names])
    check_floats(array.shape, array.dtype.name, str(files[0]))
    return MappedValues(array), names
