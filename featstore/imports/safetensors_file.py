"""safetensors: tensors by name, read by ranges of rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.exchange import KEY, parsed
from featstore.imports.exported import exported_targets
from featstore.imports.files import guarded, readable
from featstore.imports.source import Column, Source, chosen_key
from featstore.imports.values import RangedValues, check_floats
from featstore.strings import unpack

_PRECISION = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
_KIND = "a safetensors file"


def read(path: Path, key: str | None) -> Source:
    """Read a file of tensors.

    Ids that `featstore export` wrote are the tensors ``ids`` and ``id_offsets``, see
    `featstore.strings`; files of other tools have none.
    """
    file = _opened(path)
    names: list[str] = list(file.keys())
    slices = {name: file.get_slice(name) for name in names}
    arrays = {
        name: (tuple(part.get_shape()), _PRECISION.get(part.get_dtype(), part.get_dtype()))
        for name, part in slices.items()
    }
    key = chosen_key(arrays, key, path)
    shape = check_floats(*arrays[key], f"{key!r} in {path}")
    others = {name: size[0] for name, (size, _) in arrays.items() if name != key and size}
    columns: dict[str, Column] = {
        name: partial(_tensor, path, name) for name, n in others.items() if n == shape[0]
    }
    misfits = {name: n for name, n in others.items() if n != shape[0]}
    exported = parsed((file.metadata() or {}).get(KEY))
    if exported:
        columns["ids"], misfits = partial(_ids, path), {}
        columns["split"] = partial(_splits, path, exported["splits"])
    targets = exported_targets(exported, columns)
    values = RangedValues(shape, arrays[key][1], guarded(path, _KIND, partial(_rows, slices[key])))
    return Source(values, "safetensors file", columns, misfits, targets)


def _opened(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        with readable(path, _KIND):
            # NumPy has no bfloat16, torch has.
            return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise InvalidInputError(
            f"{path} cannot be read as {_KIND}: {error}. Is the file complete?"
        ) from error


def _rows(part: Any, start: int, stop: int) -> NDArray[Any]:
    return _array(part[start:stop])


def _tensor(path: Path, name: str) -> NDArray[Any]:
    return _array(_opened(path).get_tensor(name))


def _array(tensor: Any) -> NDArray[Any]:
    import torch

    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return np.asarray(tensor.numpy())


def _ids(path: Path) -> NDArray[np.str_]:
    return unpack(_tensor(path, "ids"), _tensor(path, "id_offsets").astype(np.uint64))


def _splits(path: Path, names: list[str]) -> NDArray[np.str_]:
    # -1 takes the last name: no split.
    named: NDArray[np.str_] = np.asarray([*names, ""], str)[_tensor(path, "split")]
    return named
