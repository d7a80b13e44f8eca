"""A store on a plain web server: it can be read by whoever knows its names."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from digits_store import make_digits_store
from range_server import RangeServer

import featstore as fs
from featstore.cli.main import group
from featstore.errors import FeatureNotFoundError, StorageError, StoreNotFoundError
from featstore.store import FeatureStore

pytest.importorskip("obstore")


@pytest.fixture
def local(tmp_path: Path) -> FeatureStore:
    return make_digits_store(tmp_path / "my digits ü.zarr")


@pytest.fixture
def store(local: FeatureStore, web: RangeServer) -> FeatureStore:
    return fs.open(f"{web.url}/my%20digits%20%C3%BC.zarr/")


def test_what_has_a_name_can_be_read(local: FeatureStore, store: FeatureStore) -> None:
    np.testing.assert_array_equal(store.samples.ids, local.samples.ids)
    assert store.samples.digest == local.samples.digest
    for split in ("train", "test"):
        here, there = (
            store.view(["pixels", "pca"], split=split),
            local.view(["pixels", "pca"], split=split),
        )
        np.testing.assert_array_equal(here.array(), there.array())
        np.testing.assert_array_equal(here.take([3, 1]), there.take([3, 1]))
    saved = fs.probe(local, "pca", probe="knn", value=5, n_boot=10)
    run = store.run(saved.name)
    np.testing.assert_array_equal(run.predictions.scores, saved.predictions.scores)
    again = fs.probe(store, "pca", probe="knn", value=5, n_boot=10, save=False)
    np.testing.assert_array_equal(again.predictions.scores, saved.predictions.scores)
    arguments = ["probe", store.location, "--features", "pca", "--value", "0.1"]
    result = CliRunner().invoke(group, [*arguments, "--no-save", "--json"])
    assert json.loads(result.output)["config"]["n_test"] == len(saved.predictions)
    result = CliRunner().invoke(group, arguments)
    assert "can only be read" in result.output
    assert "--no-save" in result.output


def test_what_cannot_be_listed_is_said(store: FeatureStore) -> None:
    with pytest.raises(StorageError, match="cannot be listed: web servers"):
        _ = store.features
    with pytest.raises(FeatureNotFoundError, match=r"no feature 'pixel'.*cannot be listed"):
        store.view("pixel")
    assert repr(store) == f"<FeatureStore {store.location} 1797 samples>"
    assert store.location.endswith("/my%20digits%20%C3%BC.zarr")


def test_nothing_is_written(store: FeatureStore, web: RangeServer) -> None:
    run: Any = SimpleNamespace(name="x")
    for write in (
        lambda: store.save_run(run),
        lambda: store.folder.write("x", [b""]),
        lambda: store.folder.create("x", [b""]),
        lambda: store.folder.delete("zarr.json"),
        lambda: store.delete_feature("pca"),
        lambda: FeatureStore.create(f"{web.url}/new.zarr", store.samples),
    ):
        with pytest.raises(StorageError, match=r"can only be read; write to the bucket|be listed"):
            write()


def test_nothing_there(web: RangeServer) -> None:
    with pytest.raises(StoreNotFoundError):
        fs.open(f"{web.url}/other.zarr")


def test_a_server_without_ranges(
    local: FeatureStore, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that sends the whole file instead must not pass for one that sends rows."""
    import range_server

    view = store.view("pixels")
    monkeypatch.setattr(range_server, "_RANGE", range_server.re.compile("never"))
    with pytest.raises(StorageError, match="knows byte ranges"):
        view.take([5])
