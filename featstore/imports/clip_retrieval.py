"""clip-retrieval: ``img_emb/img_emb_0.npy`` with ``metadata/metadata_0.parquet``.

Its inference writes one pair per partition, the n-th row of one belonging to the n-th of the
other; the image's name is the column ``image_path``.  embedding-reader reads the same folders.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from featstore.errors import InvalidInputError
from featstore.imports.files import in_order, readable
from featstore.imports.numpy_files import read_npy
from featstore.imports.source import Column, Source, stacked_files

_LAYOUT = "clip-retrieval folder"


def read(path: Path, key: str | None) -> Source:
    """Read the folder; `key` chooses ``text_emb`` instead of ``img_emb``."""
    if path.name in ("img_emb", "text_emb"):
        path, key = path.parent, key or path.name
    key = key or ("img_emb" if (path / "img_emb").is_dir() else "text_emb")
    if key not in ("img_emb", "text_emb") or not (path / key).is_dir():
        raise InvalidInputError(f"{path} has no folder {key!r}; --key takes img_emb or text_emb")
    arrays = in_order(path / key, ".npy")
    if not arrays:
        raise InvalidInputError(f"no .npy files in {path / key}")
    metadata = (
        {_number(file): file for file in in_order(path / "metadata", ".parquet")}
        if (path / "metadata").is_dir()
        else {}
    )
    without = [file.name for file in arrays if _number(file) not in metadata]
    if metadata and without:
        raise InvalidInputError(
            f"{len(without)} of {len(arrays)} files in {path / key} have no metadata, e.g. "
            f"{without[0]}; the inference was interrupted: finish it, or remove the file"
        )
    return stacked_files(
        arrays, lambda file: _part(file, metadata.get(_number(file))), _LAYOUT, path
    )


def _part(array: Path, metadata: Path | None) -> Source:
    source = read_npy(array, None)
    if metadata is None:
        return Source(source.values, _LAYOUT)
    import pyarrow.parquet as pq

    with readable(metadata, "a Parquet file"):
        names = pq.read_schema(metadata).names
    columns: dict[str, Column] = {name: partial(_column, metadata, name) for name in names}
    return Source(
        source.values, _LAYOUT, columns, ids="image_path" if "image_path" in columns else None
    )


def _column(metadata: Path, name: str) -> list[Any]:
    import pyarrow.parquet as pq

    with readable(metadata, "a Parquet file"):
        return list(pq.read_table(metadata, columns=[name]).column(0).to_pylist())


def _number(file: Path) -> str:
    """Return what ``img_emb_007`` and ``metadata_007`` have in common."""
    return file.stem.rpartition("_")[2]
