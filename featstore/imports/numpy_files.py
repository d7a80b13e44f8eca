"""NumPy files: ``.npy`` with or without a list of ids beside it, and ``.npz`` archives."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.exchange import KEY, parsed
from featstore.imports.exported import exported_targets
from featstore.imports.files import as_text, lines, readable, refuse_objects
from featstore.imports.source import Column, Source, chosen_key
from featstore.imports.values import MappedValues, StreamedValues, Values, check_floats

_BLOCK_BYTES = 8 << 20


def read_npy(path: Path, key: str | None) -> Source:
    """Read one array, mapped.

    Ids are taken from ``NAME.ids.txt``, splits and labels from ``NAME.json``, as
    `featstore export` writes them beside the array.
    """
    if key is not None:
        raise InvalidInputError(f"{path} holds one array without a name; leave --key out")
    with readable(path, "a NumPy array"):
        with path.open("rb") as file:
            refuse_objects(_read_header(file)[2], path)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    check_floats(array.shape, array.dtype.name, str(path))
    columns: dict[str, Column] = {}
    beside, described = path.with_suffix(".ids.txt"), path.with_suffix(".json")
    if beside.is_file():
        columns["ids"] = partial(lines, beside)
    targets: dict[str, Column] = {}
    if described.is_file():
        content = parsed(described.read_bytes())
        # Any other tool may have written a file of this name.
        if KEY in content:
            columns |= {n: partial(np.asarray, column) for n, column in content["columns"].items()}
            targets = exported_targets(content[KEY], columns)
    return Source(MappedValues(array), "NumPy array", columns, targets=targets)


def read_npz(path: Path, key: str | None) -> Source:
    """Read an archive of arrays; the features are streamed, never held as a whole."""
    with readable(path, "a NumPy archive"), zipfile.ZipFile(path) as archive:
        headers = {
            name.removesuffix(".npy"): _header(archive, name)
            for name in archive.namelist()
            if name.endswith(".npy")
        }
    key = chosen_key(
        {n: (shape, dtype.name) for n, (shape, _, dtype) in headers.items()}, key, path
    )
    n = headers[key][0][0]
    others = {name: shape[0] for name, (shape, *_) in headers.items() if name != key and shape}
    columns: dict[str, Column] = {
        name: partial(_member, path, name) for name, length in others.items() if length == n
    }
    targets: dict[str, Column] = {}
    if KEY in headers:
        targets = exported_targets(parsed(str(_member(path, KEY))), columns)
    return Source(
        _values(path, key, *headers[key]),
        "NumPy archive",
        columns,
        misfits={name: length for name, length in others.items() if length != n},
        targets=targets,
    )


def _values(
    path: Path, name: str, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]
) -> Values:
    matrix = check_floats(shape, dtype.name, f"{name!r} in {path}")
    if fortran:
        # Column by column, rows cannot be had before the whole array is there.
        return MappedValues(_member(path, name))
    return StreamedValues(matrix, dtype.name, partial(_blocks, path, name, matrix, dtype))


def _blocks(
    path: Path, name: str, shape: tuple[int, int], dtype: np.dtype[Any]
) -> Iterator[NDArray[Any]]:
    rows = max(_BLOCK_BYTES // (shape[1] * dtype.itemsize), 1)
    with (
        readable(path, "a NumPy archive"),
        zipfile.ZipFile(path) as archive,
        archive.open(f"{name}.npy") as member,
    ):
        _read_header(member)
        for start in range(0, shape[0], rows):
            count = min(rows, shape[0] - start)
            content = member.read(count * shape[1] * dtype.itemsize)
            yield np.frombuffer(content, dtype).reshape(count, shape[1])


def _member(path: Path, name: str) -> Any:
    with readable(path, "a NumPy archive"):
        with zipfile.ZipFile(path) as archive:
            refuse_objects(_header(archive, f"{name}.npy")[2], f"{name!r} in {path}")
        with np.load(path, allow_pickle=False) as arrays:
            return as_text(arrays[name])


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    with archive.open(name) as member:
        return _read_header(member)


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy_format.read_magic(member)
    read = (
        npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    )
    shape, fortran, dtype = read(member)
    return tuple(int(length) for length in shape), bool(fortran), np.dtype(dtype)
