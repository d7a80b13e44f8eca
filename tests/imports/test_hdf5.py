"""HDF5, as h5py writes it, and as TRIDENT does with it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from featstore.errors import InvalidInputError


def test_any_file(tmp_path: Path, X, ids, y, read, values) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("model/embeddings", data=X, chunks=(4, 8), compression="gzip")
        file["image_path"] = ids
        file["label"] = y
    found = read(tmp_path / "f.h5")
    np.testing.assert_array_equal(values(found), X)
    assert found.ids.tolist() == ids
    np.testing.assert_array_equal(found.targets["label"].codes, y)


def trident(path: Path, features: np.ndarray, coords: np.ndarray) -> None:
    """Chunked by rows and growable, as trident.IO.save_h5 does it."""
    with h5py.File(path, "w") as file:
        for name, data in (("features", features), ("coords", coords)):
            shape = data.shape
            chunks, most = (1, *shape[1:]), (None, *shape[1:])
            data_set = file.create_dataset(
                name, shape, maxshape=most, chunks=chunks, dtype=data.dtype
            )
            data_set[:] = data
        file["features"].attrs["name"] = path.stem


def test_trident_patches(tmp_path: Path, X, read, values) -> None:
    coords = np.stack([np.arange(30) * 256, np.arange(30) % 5 * 256], axis=1)
    trident(tmp_path / "slide_a.h5", X[:12], coords[:12])
    trident(tmp_path / "slide_b.h5", X[12:], coords[12:])
    found = read(tmp_path)
    np.testing.assert_array_equal(values(found), X)
    assert found.ids[[0, 13]].tolist() == ["slide_a/0_0", "slide_b/3328_768"]
    assert read(tmp_path / "slide_a.h5").layout == "TRIDENT patches"


def test_trident_slides(tmp_path: Path, X, read, values) -> None:
    for i in range(12):
        trident(tmp_path / f"slide_{i}.h5", X[i], np.zeros((5, 2), np.int64))
    found = read(tmp_path)
    np.testing.assert_array_equal(values(found), X[:12])
    assert found.ids.tolist() == [f"slide_{i}" for i in range(12)]


def test_wrong_key_and_damage(tmp_path: Path, X, read) -> None:
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = X, X
    with pytest.raises(InvalidInputError, match=r"has no array 'features'\. There are: a, b"):
        read(path, key="features")
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(InvalidInputError, match=r"cannot be read as an HDF5 file.*truncated"):
        read(path)
