"""Parquet and Arrow, as pandas, pyarrow and Hugging Face datasets write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featstore.errors import InvalidInputError
from featstore.imports import tables


def table(X: np.ndarray, ids: list[str], vectors: str) -> pa.Table:
    flat = pa.array(X.reshape(-1))
    column: Any = {
        "fixed": lambda: pa.FixedSizeListArray.from_arrays(flat, X.shape[1]),
        "list": lambda: pa.ListArray.from_arrays(
            pa.array(np.arange(0, X.size + 1, X.shape[1], dtype=np.int32)), flat
        ),
        "large": lambda: pa.LargeListArray.from_arrays(
            pa.array(np.arange(0, X.size + 1, X.shape[1])), flat
        ),
    }[vectors]()
    return pa.table({"image_path": ids, "embedding": column, "label": ["a", "b", None] * 10})


@pytest.mark.parametrize("vectors", ["fixed", "list", "large"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_parquet(
    tmp_path: Path, X, ids, read, values, vectors: str, dtype: str, monkeypatch
) -> None:
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 500)
    pq.write_table(table(X.astype(dtype), ids, vectors), tmp_path / "f.parquet", row_group_size=11)
    found = read(tmp_path / "f.parquet")
    np.testing.assert_array_equal(values(found), X.astype(dtype))
    assert found.ids.tolist() == ids
    assert found.targets["label"].codes.tolist() == [0, 1, -1] * 10


def test_folder_that_embedding_reader_reads(tmp_path: Path, X, read, values) -> None:
    frame = pd.DataFrame({"embedding": list(X), "id": range(100, 130)})
    frame[:17].to_parquet(tmp_path / "0.parquet")
    frame[17:].to_parquet(tmp_path / "1.parquet")
    found = read(tmp_path)
    np.testing.assert_array_equal(values(found), X)
    assert found.ids.tolist() == [str(i) for i in range(100, 130)]


@pytest.mark.parametrize("kind", ["file", "stream"])
@pytest.mark.parametrize("vectors", ["fixed", "list", "large"])
def test_arrow(tmp_path: Path, X, ids, read, values, kind: str, vectors: str) -> None:
    made = table(X, ids, vectors)
    path = tmp_path / "f.arrow"
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as sink, new(sink, made.schema) as writer:
        for batch in made.to_batches(max_chunksize=13):
            writer.write_batch(batch)
    found = read(path)
    np.testing.assert_array_equal(values(found), X)
    assert found.ids.tolist() == ids


def test_a_saved_dataset(tmp_path: Path, X, ids, read, values) -> None:
    datasets.Dataset.from_dict({"id": ids, "features": X}).save_to_disk(
        tmp_path / "d", num_shards=3
    )
    found = read(tmp_path / "d")
    np.testing.assert_array_equal(values(found), X)
    assert found.ids.tolist() == ids


def test_unusable_columns(tmp_path: Path, X, ids, read, values) -> None:
    ragged = [*X[:-1].tolist(), X[-1, :5].tolist()]
    missing = [*X[:-1].tolist(), None]
    numbers = [[int(n) for n in row] for row in X]
    for name, column, message in (
        ("ragged", ragged, "vectors of different length"),
        ("missing", missing, "rows without a vector"),
        ("numbers", numbers, "no matrix of floats"),
    ):
        for suffix, write in ((".parquet", pq.write_table), (".arrow", _write_feather)):
            path = tmp_path / f"{name}{suffix}"
            write(pa.table({"id": ids, "x": column}), path)
            with pytest.raises(InvalidInputError, match=message):
                values(read(path))
    with pytest.raises(InvalidInputError, match=r"column 'id' of .* is string"):
        read(tmp_path / "ragged.parquet", key="id")


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_truncated(tmp_path: Path, X, ids, read, suffix: str) -> None:
    path = tmp_path / f"f.{suffix}"
    made = table(X, ids, "fixed")
    pq.write_table(made, path) if suffix == "parquet" else _write_feather(made, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InvalidInputError, match="cannot be read as a"):
        read(path)


def _write_feather(made: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(str(path), made.schema) as writer:
        writer.write_table(made)
