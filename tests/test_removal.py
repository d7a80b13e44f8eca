"""remove: gone at once, and whoever is still at it is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from faulty_os import FaultyDisk, Killed
from small_run import make_run
from small_store import fill, make_spec
from store_life import leftovers

from featstore.compaction import compact
from featstore.errors import FeatureNotFoundError, InvalidInputError, StorageError
from featstore.history import history
from featstore.removal import remove
from featstore.store import FeatureStore
from featstore.taxonomy import Taxonomy

X = np.random.default_rng(0).standard_normal((600, 8)).astype(np.float32)


@pytest.fixture
def store(new_store: Callable[..., FeatureStore]) -> FeatureStore:
    store = new_store(600, x=X, y=X)
    store.save_run(make_run("r", seed=0))
    store.save_run(make_run("x", seed=0))
    frame = pd.DataFrame({"species": ["a", "b"], "genus": ["g", "h"]})
    store.save_taxonomy("t", Taxonomy.from_frame(frame))
    return store


def test_what_it_says_is_what_it_frees(store: FeatureStore) -> None:
    before = size(store.path)
    asked = remove(store, ["y", "r", "t"], dry_run=True)
    assert size(store.path) == before
    removed = remove(store, ["y", "r", "t", "r"])
    assert removed == asked
    assert [(item.kind, item.name) for item in removed] == [
        ("feature", "y"),
        ("run", "r"),
        ("taxonomy", "t"),
    ]
    files, nbytes = before
    freed = sum(item.files for item in removed), sum(item.nbytes for item in removed)
    log = (store.path / "history.jsonl").stat().st_size
    assert size(store.path) == (files - freed[0] + 1, nbytes - freed[1] + log)
    assert (store.features, store.runs, store.taxonomies) == (["x"], ["x"], [])
    assert history(store.folder)[-1]["names"] == ["feature y", "run r", "taxonomy t"]


def size(path: Path) -> tuple[int, int]:
    sizes = [file.stat().st_size for file in path.rglob("*") if file.is_file()]
    return len(sizes), sum(sizes)


def test_a_wrong_name_removes_nothing(store: FeatureStore) -> None:
    with pytest.raises(FeatureNotFoundError, match=r"'z'.*There are: r, t, x, y"):
        remove(store, ["y", "z"])
    with pytest.raises(FeatureNotFoundError, match=r"no run 'y'. There are: r, x."):
        remove(store, ["y"], kind="run")
    with pytest.raises(InvalidInputError, match=r"'x' is the name of a run and a feature.*--run"):
        remove(store, ["y", "x"])
    assert store.features == ["x", "y"]
    assert [item.kind for item in remove(store, ["x"], kind="run")] == ["run"]
    assert store.features == ["x", "y"]


@pytest.mark.parametrize("file", ["zarr.json", "manifest.json", "c/0/0"])
def test_what_is_damaged_can_be_removed(store: FeatureStore, file: str) -> None:
    (store.path / "features" / "y" / file).write_bytes(b"{")
    remove(store, ["y"])
    assert store.features == ["x"]
    (store.path / "runs" / "r" / "zarr.json").write_bytes(b"{")
    remove(store, ["r"])
    assert store.runs == ["x"]


def test_what_is_being_written_can_be_removed(store: FeatureStore) -> None:
    writer = store.writer("z", make_spec(store.samples, dim=8))
    writer.put(0, X[:256])
    (removed,) = remove(store, ["z"])
    assert removed.nbytes > X[:256].nbytes // 2
    with pytest.raises(StorageError, match="removed by another process"):
        writer.put(1, X[256:512])
    with pytest.raises(StorageError, match="removed by another process"):
        writer.seal()
    fill(store, "z", X)  # not disturbed by the first writer, which has only lost its folder
    with pytest.raises(StorageError, match="removed by another process"):
        writer.put(1, X[256:512])
    np.testing.assert_array_equal(store.view("z").array(), X.astype(np.float16))


def test_what_is_mapped_stays_readable(store: FeatureStore) -> None:
    mapped = store.view("y").array()
    remove(store, ["y"])
    np.testing.assert_array_equal(mapped, X.astype(np.float16))


def test_killed_at_any_call(new_store: Callable[..., FeatureStore], tmp_path: Path) -> None:
    store = new_store(600)
    for at in range(1, 1000):
        if "x" not in store.features:
            fill(store, "x", X)
        disk = FaultyDisk(tmp_path, at=at, failure="kill")
        with suppress(Killed), disk.active():
            remove(store, ["x"])
        if store.features:
            np.testing.assert_array_equal(store.view("x").array(), X.astype(np.float16))
        compact(store)
        assert not leftovers(store.path)
        if not disk.failed:
            break
    assert at > 5
    assert store.features == []
