"""Hand-over to xarray, dask and Hugging Face datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_store import fill

from featstore.errors import InvalidInputError
from featstore.handover import to_dask, to_dataset, to_xarray
from featstore.samples import Samples, Target
from featstore.store import FeatureStore

X = np.random.default_rng(0).standard_normal((400, 16)).astype(np.float32)


@pytest.fixture
def store(new_store: Callable[..., FeatureStore]) -> FeatureStore:
    return new_store(400, a=X, b=X[:, :3])


def test_dask_reads_chunk_by_chunk(store: FeatureStore) -> None:
    view = store.view(["a", "b"], rows=np.random.default_rng(1).permutation(400)[:333])
    lazy = to_dask(view, rows=100)
    assert lazy.chunks == ((100, 100, 100, 33), (19,))
    assert lazy.dtype == view.dtype
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), view.array())
    np.testing.assert_array_equal(lazy[40:120, 5:].compute(), view.array()[40:120, 5:])
    assert to_dask(store.view("a")).numblocks == (1, 1)


def test_dask_knows_equal_work_by_its_name(store: FeatureStore) -> None:
    names = [
        to_dask(view).name
        for view in (
            store.view("a", split="train"),
            store.view("a", split="train"),
            store.view("a", split="test"),
            store.view("b", split="train"),
        )
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_xarray_is_labelled(store: FeatureStore) -> None:
    view = store.view("a", split="test")
    labelled = to_xarray(view, store.samples)
    assert np.shares_memory(labelled.data, view.array())
    assert (labelled.sel(sample=view.ids[3]) == view.array()[3]).all()
    assert labelled["split"].values.tolist() == ["test"] * 100
    means = labelled.astype("float32").groupby("label").mean()
    codes = store.samples.targets["label"].codes[view.rows]
    expected = view.array()[codes == 0].astype(np.float32).mean(axis=0)
    np.testing.assert_allclose(means.sel(label="class 0"), expected, rtol=1e-5)
    assert "label" not in to_xarray(view).coords


def test_xarray_over_dask_names_the_blocks(store: FeatureStore) -> None:
    lazy = to_xarray(store.view(["b", "a"]), rows=64)
    assert lazy.chunks is not None
    assert lazy.name == "b+a"
    assert lazy["feature"].values.tolist() == ["b"] * 3 + ["a"] * 16
    np.testing.assert_array_equal(lazy.values, store.view(["b", "a"]).array())


def test_dataset_has_the_values_and_class_labels(store: FeatureStore) -> None:
    view = store.view("a", split="train")
    dataset = to_dataset(view, store.samples)
    assert dataset.column_names == ["id", "embedding", "split", "label"]
    assert dataset["id"][:] == view.ids.tolist()
    found = dataset.with_format("numpy")["embedding"][:]
    np.testing.assert_array_equal(np.stack(found), view.array())
    target = store.samples.targets["label"]
    assert dataset.features["label"].names == list(target.classes)
    assert dataset["label"][:] == target.codes[view.rows].tolist()
    assert to_dataset(view).column_names == ["id", "embedding"]


def test_unlabelled_samples_and_names_that_are_taken(tmp_path: Path) -> None:
    targets = {"id": Target.from_labels(["a", "b"])}
    ids, splits = np.array(["x", "y"]), np.array(["", ""])
    store = FeatureStore.create(tmp_path / "t.zarr", Samples(ids, splits, targets))
    fill(store, "f", X[:2])
    with pytest.raises(InvalidInputError, match="'id' is called like another column"):
        to_dataset(store.view("f"), store.samples)
    gaps = Samples(ids, splits, {"label": Target.from_labels([None, "b"])})
    assert to_xarray(store.view("f"), gaps)["label"].isnull().values.tolist() == [True, False]
    assert to_dataset(store.view("f"), gaps)["label"][:] == [None, 0]


def test_chunks_need_a_row(store: FeatureStore) -> None:
    with pytest.raises(InvalidInputError, match="at least 1 row, got rows=0"):
        to_dask(store.view("a"), rows=0)
