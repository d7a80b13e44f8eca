"""eva (kaiko): one ``.pt`` file per image, listed in ``manifest.csv``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.imports.column_file import read_column
from featstore.imports.files import readable
from featstore.imports.source import Column, Source
from featstore.imports.values import RangedValues, check_floats


def read(path: Path, key: str | None) -> Source:
    """Read the manifest: ``origin`` names the image, ``embeddings`` the file of its vector."""
    import pandas as pd

    if key is not None:
        raise InvalidInputError(f"{path} holds one vector per file; leave --key out")
    manifest = path / "manifest.csv"
    with readable(manifest, "a manifest of eva"):
        names = [str(name) for name in pd.read_csv(manifest, nrows=0).columns]
    missing = {"origin", "embeddings"} - set(names)
    if missing:
        raise InvalidInputError(
            f"{manifest} has no column {sorted(missing)[0]!r}; eva writes origin, embeddings, "
            "target, split"
        )
    files = [path / name for name in read_column(f"{manifest}#embeddings")]
    if not files:
        raise InvalidInputError(f"{manifest} lists no embeddings")
    first = _vector(files[0])
    shape = check_floats((len(files), len(first)), first.dtype.name, f"files of {manifest}")
    columns: dict[str, Column] = {
        name: partial(read_column, f"{manifest}#{name}") for name in names if name != "embeddings"
    }
    values = RangedValues(
        shape, first.dtype.name, partial(_rows, files, shape[1]), random_access=True
    )
    return Source(
        values,
        "eva embeddings folder",
        columns,
        ids="origin",
        split="split" if "split" in columns else None,
        labels=("target",) if "target" in columns else (),
    )


def _rows(files: list[Path], dim: int, start: int, stop: int) -> NDArray[Any]:
    vectors = [_vector(file) for file in files[start:stop]]
    for file, vector in zip(files[start:stop], vectors, strict=True):
        if len(vector) != dim:
            raise InvalidInputError(
                f"{file} holds a vector of length {len(vector)}, the first file one of {dim}"
            )
    return np.stack(vectors)


def _vector(file: Path) -> NDArray[Any]:
    """Load one vector: a tensor, or the list of one tensor that newer versions write."""
    import torch

    with readable(file, "a torch file"):
        found = torch.load(file, map_location="cpu", weights_only=True)
    if isinstance(found, list):
        if len(found) != 1:
            raise InvalidInputError(
                f"{file} holds {len(found)} embeddings of one input; one vector per row is needed"
            )
        found = found[0]
    vector = found.reshape(-1) if found.ndim == 2 and found.shape[0] == 1 else found
    if vector.ndim != 1:
        raise InvalidInputError(
            f"{file} holds a tensor of shape {tuple(vector.shape)}; one vector is needed"
        )
    return np.asarray((vector.float() if vector.dtype == torch.bfloat16 else vector).numpy())
