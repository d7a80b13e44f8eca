"""Formats are told from content; what cannot be told is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import torch

from featstore.errors import InvalidInputError, MissingDependencyError
from featstore.imports.formats import FORMATS, read_source, recognised


def test_content_decides_over_the_suffix(tmp_path: Path, X) -> None:
    table = pa.table({"embedding": list(X)})
    np.save(tmp_path / "npy", X)
    shutil.move(tmp_path / "npy.npy", tmp_path / "npy")
    safetensors.numpy.save_file({"features": X}, tmp_path / "safetensors")
    pq.write_table(table, tmp_path / "parquet")
    with pa.ipc.new_file(str(tmp_path / "arrow"), table.schema) as writer:
        writer.write_table(table)
    with h5py.File(tmp_path / "hdf5", "w") as file:
        file["features"] = X
    torch.save(torch.from_numpy(X), tmp_path / "torch")
    for name in ("npy", "safetensors", "parquet", "arrow", "hdf5", "torch"):
        assert recognised(tmp_path / name) == name
        renamed = shutil.copy(tmp_path / name, tmp_path / "file.bin")
        assert read_source(renamed).values.shape == X.shape


def test_unknown_formats_list_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("1 2 3")
    with pytest.raises(InvalidInputError) as caught:
        read_source(tmp_path / "a.xyz")
    assert all(name in str(caught.value) for name in FORMATS)
    with pytest.raises(InvalidInputError, match="no known format"):
        recognised(tmp_path)
    with pytest.raises(InvalidInputError, match="no format 'numpy'"):
        read_source(tmp_path / "a.xyz", form="numpy")
    with pytest.raises(InvalidInputError, match="does not exist"):
        read_source(tmp_path / "none.npy")


def test_the_given_format_is_taken(tmp_path: Path, X) -> None:
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(InvalidInputError, match="cannot be read as a Parquet file"):
        read_source(tmp_path / "a.npy", form="parquet")
    with pytest.raises(InvalidInputError, match=r"no \.parquet or \.pq files"):
        read_source(tmp_path, form="parquet")


def test_a_missing_package_is_named(tmp_path: Path, X, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = X
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "featstore\[hdf5\]"'):
        read_source(tmp_path / "a.h5")
