"""AnnData: ``X`` with samples as observations, written by the format's specification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from featstore.exchange import KEY
from featstore.exports.sheet import Sheet
from featstore.new_file import new_file
from featstore.optional import import_optional
from featstore.samples import Target

_INDEX = "_index"


def write(sheet: Sheet, path: Path) -> list[Path]:
    """Write one file: obs holds split and single-label targets, obsm the multi-label ones."""
    h5py = import_optional("h5py", extra="hdf5")
    columns = sheet.column_names(_INDEX, "split")
    single = {columns[n]: t for n, t in sheet.targets.items() if t.kind == "single"}
    multi = {n: t for n, t in sheet.targets.items() if t.kind == "multi"}
    where = {**columns, **{name: f"obsm/{columns[name]}" for name in multi}}
    splits = Target.from_labels([name or None for name in sheet.splits.tolist()])
    with new_file(path) as temporary, h5py.File(temporary, "w") as file:
        _encode(file, "anndata", "0.1.0")
        matrix = file.create_dataset("X", sheet.shape, sheet.view.dtype)
        _encode(matrix, "array", "0.2.0")
        start = 0
        for block in sheet.blocks():
            matrix[start : start + len(block)] = block
            start += len(block)
        obs = _frame(file, "obs", sheet.ids.tolist(), ["split", *single])
        for name, target in {"split": splits, **single}.items():
            _categorical(obs, name, target)
        dims = [f"{b.name}_{i}" for b in sheet.view.blocks for i in range(b.shape[1])]
        _frame(file, "var", dims, [])
        for name in ("layers", "obsm", "obsp", "varm", "varp", "uns"):
            _encode(file.create_group(name), "dict", "0.1.0")
        for name, target in multi.items():
            indicator = file["obsm"].create_dataset(
                columns[name], data=target.codes.astype(np.uint8)
            )
            _encode(indicator, "array", "0.2.0")
        _encode(file["uns"].create_dataset(KEY, data=sheet.document(where)), "string", "0.2.0")
    return [path]


def _frame(file: Any, name: str, index: list[str], columns: list[str]) -> Any:
    group = file.create_group(name)
    _encode(group, "dataframe", "0.2.0")
    group.attrs["_index"] = _INDEX
    group.attrs.create("column-order", np.asarray(columns, object), dtype=_text())
    _strings(group, _INDEX, index)
    return group


def _categorical(group: Any, name: str, target: Target) -> None:
    node = group.create_group(name)
    _encode(node, "categorical", "0.2.0")
    node.attrs["ordered"] = False
    _strings(node, "categories", list(target.classes))
    _encode(node.create_dataset("codes", data=target.codes), "array", "0.2.0")


def _strings(group: Any, name: str, values: list[str]) -> None:
    data = group.create_dataset(name, data=np.asarray(values, object), dtype=_text())
    _encode(data, "string-array", "0.2.0")


def _text() -> Any:
    return import_optional("h5py", extra="hdf5").string_dtype()


def _encode(node: Any, kind: str, version: str) -> None:
    node.attrs["encoding-type"] = kind
    node.attrs["encoding-version"] = version
