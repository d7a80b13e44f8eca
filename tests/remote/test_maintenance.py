"""merge, diff, compact and remove where stores lie in a bucket."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from kill_writers import tree_digest
from range_server import RangeServer
from small_store import fill, make_samples, make_spec, part

import featstore as fs
from featstore.object_client import ObjectClient
from featstore.removal import remove
from featstore.store import FeatureStore

obstore = pytest.importorskip("obstore")

X = np.random.default_rng(0).standard_normal((600, 8)).astype(np.float32)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from obstore.store import MemoryStore

    objects = MemoryStore()
    monkeypatch.setattr(ObjectClient, "_connect", lambda connection, sends: objects)


def make_part(location: str | Path, rows: np.ndarray) -> FeatureStore:
    store = FeatureStore.create(location, part(make_samples(600), rows))
    fill(store, "x", X[rows])
    return store


def test_merge_from_and_to_a_bucket(memory: None, tmp_path: Path) -> None:
    make_part("s3://bucket/a.zarr", np.arange(350))
    make_part(tmp_path / "b.zarr", np.arange(350, 600))
    stores = ["s3://bucket/a.zarr", tmp_path / "b.zarr"]
    local = fs.merge(stores, tmp_path / "m.zarr").store
    remote = fs.merge(stores, "s3://bucket/m.zarr").store
    np.testing.assert_array_equal(local.view("x").array(), X.astype(np.float16))
    files = remote.folder.child("features/x")
    assert {name: files.size(name) for name in files.files()} == {
        name: (local.path / "features" / "x" / name).stat().st_size
        for name in tree_digest(local.path / "features" / "x")
    }
    difference = fs.diff(local, remote)
    assert difference.equal
    assert difference.features[0].by == "checksums"
    assert fs.merge(stores, "s3://bucket/m.zarr").merged == ()
    with pytest.raises(ValueError, match="one of the stores to merge"):
        fs.merge(["s3://bucket/a.zarr/", tmp_path / "b.zarr"], "s3://bucket/a.zarr")


def test_values_are_compared_across_places(memory: None, tmp_path: Path) -> None:
    remote = make_part("s3://bucket/a.zarr", np.arange(600)[::-1])
    local = make_part(tmp_path / "a.zarr", np.arange(600))
    (feature,) = fs.diff(local, remote).features
    assert feature.by == "values"
    assert feature.equal


def test_age_decides_in_a_bucket(memory: None) -> None:
    store = make_part("s3://bucket/a.zarr", np.arange(600))
    sound = store.folder.files()
    writer = store.writer("z", make_spec(store.samples, dim=8))
    writer.put(0, X[:256])
    store.folder.stage("features/z/_commits/00000001", [b"put aside"], nbytes=9).flush()
    store.folder.write("runs/r/scores/c/0", [b"half-removed"])
    store.folder.write("features/x/_commits/00000000.json", [b"{}"])
    store.folder.write("features/x/_quarantine/0.0", [b"damaged"])
    young = fs.compact(store)
    assert [item.place for item in young.freed] == ["features/x/_quarantine"]
    reasons = {item.place: item.reason for item in young.kept}
    assert reasons == {
        "features/z": "unfinished, 256 of 600 rows",
        "runs/r": "half-removed or being written, not long ago",
    }
    old = fs.compact(store, older_than=0)
    assert {item.place for item in old.freed} >= {"features/x/_commits", "runs/r"}
    assert sum(item.nbytes for item in old.freed) == len(b"put aside" + b"half-removed" + b"{}")
    assert store.feature("z").committed_rows == 256
    kept = fs.compact(store, unfinished=True).kept
    assert [item.reason for item in kept] == ["unfinished, 256 of 600 rows, written not long ago"]
    fs.compact(store, unfinished=True, older_than=0)
    after = store.folder.files()
    del after["history.jsonl"]
    assert after == sound


def test_remove_from_a_bucket(memory: None) -> None:
    store = make_part("s3://bucket/a.zarr", np.arange(600))
    fill(store, "y", X)
    before = store.folder.files()
    (removed,) = remove(store, ["y"])
    after = store.folder.files()
    gone = {name: size for name, size in before.items() if name not in after}
    assert (removed.files, removed.nbytes) == (len(gone), sum(gone.values()))
    assert store.features == ["x"]


def test_merge_from_a_web_server(web: RangeServer, tmp_path: Path) -> None:
    for name, rows in (("a", np.arange(350)), ("b", np.arange(350, 600))):
        make_part(tmp_path / f"{name}.zarr", rows)
    stores = [f"{web.url}/a.zarr", f"{web.url}/b.zarr"]
    merged = fs.merge(stores, tmp_path / "m.zarr", features=["x"])
    np.testing.assert_array_equal(merged.store.view("x").array(), X.astype(np.float16))
    assert [note.split(",")[0] for note in merged.notes] == [
        f"taxonomies of {url}" for url in stores
    ]
    local = FeatureStore.open(tmp_path / "a.zarr")
    assert fs.diff(local, FeatureStore.open(stores[0]), feature="x").equal
    with pytest.raises(KeyError, match="no feature 'y'"):
        fs.merge(stores, tmp_path / "n.zarr", features=["y"])
