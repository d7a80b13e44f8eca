"""AnnData: ``.h5ad`` files, read by the format's specification with h5py alone.

The specification (anndata.readthedocs.io, "On-disk format") is small for what features need, and
reading it directly keeps every row range on disk and asks for no particular version of pandas.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from featstore.errors import InvalidInputError
from featstore.exchange import KEY, parsed
from featstore.imports.exported import exported_targets
from featstore.imports.files import as_text, readable
from featstore.imports.hdf5 import column, dataset_values, datasets, opened
from featstore.imports.source import Column, Source, chosen_key

_KIND = "an AnnData file"


def read(path: Path, key: str | None) -> Source:
    """Read ``X``, or the matrix that `key` names: ``obsm/X_clip`` or just ``X_clip``."""
    with opened(path) as file, readable(path, _KIND):
        obs = file.get("obs")
        if obs is None or "_index" not in obs.attrs:
            raise InvalidInputError(
                f"{path} is no AnnData file of version 0.8 or later; open it with anndata and "
                "write it again"
            )
        matrices = {
            name: (tuple(data.shape), data.dtype.name)
            for name, data in datasets(file).items()
            if name == "X" or name.startswith(("obsm/", "layers/"))
        }
        if key in (None, "X") and "X" in file and "X" not in matrices:
            raise InvalidInputError(
                f"{path}: X is sparse ({file['X'].attrs.get('encoding-type', 'a group')}), and "
                "features are dense; write X.toarray(), or choose another matrix with --key. "
                f"There are: {', '.join(matrices) or 'no others'}"
            )
        ids = str(obs.attrs["_index"])
        names = [str(name) for name in obs.attrs["column-order"]]
        exported = parsed(file["uns"][KEY].asstr()[()] if KEY in file.get("uns", ()) else None)
    if key is not None and f"obsm/{key}" in matrices:
        key = f"obsm/{key}"
    key = chosen_key(matrices, "X" if key is None and "X" in matrices else key, path)
    columns: dict[str, Column] = {name: partial(_obs, path, name) for name in [*names, ids]}
    columns |= {
        name: partial(column, path, name)
        for name in matrices
        if name != key and name.startswith("obsm/")
    }
    targets = exported_targets(exported, columns)
    return Source(
        dataset_values(path, key, *matrices[key]),
        "AnnData file",
        columns,
        targets=targets,
        ids=ids,
    )


def _obs(path: Path, name: str) -> Any:
    """Read a column of ``obs``, categories and missing values included."""
    with readable(path, _KIND), opened(path) as file:
        node = file["obs"][name]
        if hasattr(node, "shape"):
            return as_text(node[()])
        if "categories" in node:
            # Code -1 takes the last entry: no category.
            categories = [*_plain(as_text(node["categories"][()])), None]
            return [categories[code] for code in node["codes"][()]]
        if "mask" in node:
            values = _plain(as_text(node["values"][()]))
            pairs = zip(values, node["mask"][()], strict=True)
            return [None if masked else value for value, masked in pairs]
        raise InvalidInputError(
            f"{path}: column {name!r} of obs is of a kind that cannot hold ids, splits or labels "
            f"({node.attrs.get('encoding-type', 'unknown')})"
        )


def _plain(values: Any) -> list[Any]:
    return list(values.tolist()) if isinstance(values, np.ndarray) else list(values)
