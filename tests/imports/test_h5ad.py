"""AnnData, as anndata writes it."""

from __future__ import annotations

from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from featstore.errors import InvalidInputError


def text(values: list[str]) -> pd.Index:
    # Releases of anndata for older Pythons cannot write pandas 3's own strings.
    return pd.Index(values, dtype=object)


@pytest.fixture
def annotated(X, ids, y) -> anndata.AnnData:
    species = pd.Categorical.from_codes(np.where(y == 2, -1, y), categories=text(["ant", "bee"]))
    split = pd.Categorical.from_codes(y % 2, categories=text(["train", "test"]))
    obs = pd.DataFrame(
        {
            "species": species,
            "split": split,
            "count": y,
            "checked": pd.array([True, None] * 15, dtype="boolean"),
        },
        index=text(ids),
    )
    var = pd.DataFrame(index=text([str(i) for i in range(8)]))
    return anndata.AnnData(X=X, obs=obs, var=var, obsm={"X_clip": X[:, :3].astype(np.float16)})


def test_read(tmp_path: Path, X, ids, y, read, values, annotated) -> None:
    annotated.write_h5ad(tmp_path / "a.h5ad")
    found = read(tmp_path / "a.h5ad", labels=["species", "checked", "count"])
    np.testing.assert_array_equal(values(found), X)
    assert found.ids.tolist() == ids
    assert found.splits[:3].tolist() == ["train", "test", "train"]
    assert found.targets["species"].classes == ("ant", "bee")
    np.testing.assert_array_equal(found.targets["species"].codes, np.where(y == 2, -1, y))
    np.testing.assert_array_equal(found.targets["count"].codes, y)
    assert found.targets["checked"].codes.tolist() == [0, -1] * 15


@pytest.mark.parametrize("key", ["X_clip", "obsm/X_clip"])
def test_obsm(tmp_path: Path, X, read, values, annotated, key: str) -> None:
    annotated.write_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(
        values(read(tmp_path / "a.h5ad", key=key)), X[:, :3].astype(np.float16)
    )


def test_sparse_is_refused(tmp_path: Path, read, annotated) -> None:
    annotated.X = sparse.csr_matrix(annotated.X)
    annotated.write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(InvalidInputError, match=r"X is sparse \(csr_matrix\).*obsm/X_clip"):
        read(tmp_path / "a.h5ad")


def test_not_anndata(tmp_path: Path, X, read) -> None:
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["X"] = X
    with pytest.raises(InvalidInputError, match=r"no AnnData file of version 0\.8"):
        read(tmp_path / "a.h5ad")
