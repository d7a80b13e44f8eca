"""The store against zarr-python, tensorstore and plain numpy."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_store import fill, make_samples, make_spec

from featstore.commits import encode_marker
from featstore.errors import (
    CorruptStoreError,
    FeatureNotFoundError,
    InvalidInputError,
    NotAStoreError,
    NotSealedError,
    SpecMismatchError,
    StorageError,
    StoreNotFoundError,
)
from featstore.mapped import can_map
from featstore.shards import ShardLayout
from featstore.store import FeatureStore

NewStore = Callable[..., FeatureStore]


def features(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(("n", "dim"), [(1, 3), (255, 384), (256, 1), (1000, 17), (3000, 384)])
def test_other_zarr_readers_read_the_same_numbers(
    tmp_path: Path, n: int, dim: int, dtype: str
) -> None:
    tensorstore = pytest.importorskip("tensorstore")
    samples = make_samples(n)
    store = FeatureStore.create(tmp_path / "s.zarr", samples)
    X = features(n, dim)
    fill(store, "x", X, dtype=dtype)
    ours = FeatureStore.open(store.path).view("x").array()
    folder = store.path / "features" / "x"
    by_zarr = zarr.open_array(folder, mode="r")[:]
    driver = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(folder)}}
    by_tensorstore = tensorstore.open(driver).result().read().result()
    np.testing.assert_array_equal(ours, X.astype(dtype))
    np.testing.assert_array_equal(by_zarr, ours)
    np.testing.assert_array_equal(by_tensorstore, ours)


def test_bytes_are_those_that_zarr_python_writes(tmp_path: Path) -> None:
    n, dim = 700, 384
    samples = make_samples(n)
    store = FeatureStore.create(tmp_path / "s.zarr", samples)
    X = features(n, dim)
    fill(store, "x", X)
    layout = store.feature("x").layout
    oracle = zarr.create_array(
        tmp_path / "oracle",
        shape=(n, dim),
        dtype="float16",
        shards=(layout.shard_rows, dim),
        chunks=(layout.chunk_rows, dim),
        compressors=None,
        # An all-zero chunk is left out by default; ours are always written.
        config={"write_empty_chunks": True},
    )
    oracle[:] = X.astype(np.float16)
    for shard in range(layout.n_shards):
        name = f"c/{shard}/0"
        ours = ((store.path / "features" / "x") / name).read_bytes()
        assert ours == (tmp_path / "oracle" / name).read_bytes()


def test_a_split_of_consecutive_rows_is_not_copied(new_store: NewStore) -> None:
    store = new_store(3000, x=features(3000, 384))
    train = store.view("x", split="train")
    assert not train.array().flags.owndata
    assert not train.array().flags.writeable
    assert store.view("x").array().base is not None


def test_a_mapped_array_outlives_the_store_object(new_store: NewStore) -> None:
    X = features(600, 8)
    store = new_store(600, x=X)
    array = store.view("x").array()[5:7]
    del store
    np.testing.assert_array_equal(array, X[5:7].astype(np.float16))


def test_fallback_reads_what_cannot_be_mapped(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = features(600, 8)
    store = new_store(600, x=X)
    monkeypatch.setattr("featstore.feature.can_map", lambda layout: False)
    np.testing.assert_array_equal(store.view("x").array(), X.astype(np.float16))


@given(
    rows=st.integers(1, 5000),
    dim=st.integers(1, 600),
    dtype=st.sampled_from(["float16", "float32"]),
)
def test_layout_invariants(rows: int, dim: int, dtype: str) -> None:
    layout = ShardLayout.choose(rows, dim, dtype)
    covered = [row for shard in range(layout.n_shards) for row in layout.shard_range(shard)]
    assert covered == list(range(rows))
    assert layout.shard_rows * layout.row_bytes % 4096 == 0
    assert layout.shard_rows % layout.chunk_rows == 0
    again = ShardLayout.from_metadata(layout.metadata(rows, {}), rows)
    assert again == layout


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    n=st.integers(1, 900),
    dim=st.integers(1, 40),
    seed=st.integers(0, 99),
    index=st.lists(st.integers(0, 10_000), max_size=50),
)
def test_views_align_with_ids(
    tmp_path_factory: pytest.TempPathFactory, n: int, dim: int, seed: int, index: list[int]
) -> None:
    path = tmp_path_factory.mktemp("views") / "s.zarr"
    store = FeatureStore.create(path, make_samples(n))
    # Column 0 tells the row, exactly representable in float16 when split in two digits.
    X = features(n, dim + 2, seed)
    X[:, 0], X[:, 1] = np.divmod(np.arange(n), 1000)
    fill(store, "x", X)
    fill(store, "y", X[::-1].copy())
    rows = np.random.default_rng(seed).permutation(n)[: n // 2 + 1]
    view = store.view(["x", "y"], rows=rows)
    picked = np.asarray([i % len(view.rows) for i in index], np.intp)
    taken = view.take(picked)
    told = taken[:, 0].astype(int) * 1000 + taken[:, 1].astype(int)
    assert [f"ü/{row:06d}.jpg" for row in told] == view.ids[picked].tolist()
    np.testing.assert_array_equal(taken, view.array()[picked])
    np.testing.assert_array_equal(np.concatenate(list(view.batches(7))), view.array())
    other = taken[:, dim + 2].astype(int) * 1000 + taken[:, dim + 3].astype(int)
    np.testing.assert_array_equal(other, n - 1 - told)


def test_take_fills_out(new_store: NewStore) -> None:
    X = features(500, 16)
    store = new_store(500, x=X, y=X)
    for names in ("x", ["x", "y"]):
        view = store.view(names)
        out = np.empty((3, view.shape[1]), view.dtype)
        assert view.take(np.array([4, 2, 4]), out=out) is out
        np.testing.assert_array_equal(out, view.array()[[4, 2, 4]])


def test_excluded_rows_are_in_no_view_of_the_feature(new_store: NewStore) -> None:
    n = 600
    store = new_store(n, y=features(n, 4))
    writer = store.writer("x", make_spec(store.samples, dim=4))
    X = features(n, 4)
    for shard in writer.pending():
        rows = writer.layout.shard_range(shard)
        bad = {row: "truncated" for row in (3, 599) if row in rows}
        writer.put(shard, X[rows.start : rows.stop], excluded=bad)
    writer.seal()
    assert store.feature("x").excluded == {3: "truncated", 599: "truncated"}
    for names in ("x", ["y", "x"]):
        assert store.view(names).rows.tolist() == [i for i in range(n) if i not in (3, 599)]
    assert len(store.view("y").rows) == n
    # A reader who knows nothing of exclusions must not take them for features.
    assert np.isnan(zarr.open_array((store.path / "features" / "x"), mode="r")[3]).all()


def test_unfinished_features_show_no_rows(new_store: NewStore) -> None:
    store = new_store(1000)
    writer = store.writer("x", make_spec(store.samples, dim=8))
    writer.put(0, features(256, 8))
    with pytest.raises(NotSealedError, match="256 of 1000 rows"):
        store.view("x")
    fill(store, "y", features(1000, 8))
    with pytest.raises(NotSealedError, match="feature 'x' is not finished"):
        store.view(["y", "x"])
    assert zarr.open_array((store.path / "features" / "x"), mode="r").shape == (0, 8)
    with pytest.raises(InvalidInputError, match="3 of 4 shards are missing"):
        writer.seal()


def test_another_spec_is_refused_with_both_shown(new_store: NewStore) -> None:
    store = new_store(300, x=features(300, 8))
    with pytest.raises(SpecMismatchError) as caught:
        store.writer("x", make_spec(store.samples, dim=16, weights="1"))
    assert "backbone.dim: 8 | 16" in str(caught.value)
    assert "backbone.weights_digest" in str(caught.value)


def test_resume_keeps_committed_shards(new_store: NewStore) -> None:
    store = new_store(1000)
    spec = make_spec(store.samples, dim=8)
    writer = store.writer("x", spec)
    writer.put(2, features(256, 8))
    assert store.writer("x", spec).pending() == [0, 1, 3]


def test_markers_of_another_spec_do_not_count(new_store: NewStore) -> None:
    store = new_store(300)
    writer = store.writer("x", make_spec(store.samples, dim=8))
    writer.put(0, features(256, 8))
    marker = store.path / "features" / "x" / "_commits" / "00000000.json"
    commit = dataclasses.replace(writer.log.read()[0], spec_digest="f" * 64)
    marker.write_bytes(encode_marker(commit, None))
    assert writer.pending() == [0, 1]


def test_a_damaged_marker_does_not_count(new_store: NewStore) -> None:
    store = new_store(300)
    X, spec = features(300, 8), make_spec(store.samples, dim=8)
    store.writer("x", spec).put(0, X[:256])
    marker = store.path / "features" / "x" / "_commits" / "00000000.json"
    sound = marker.read_bytes()
    for damaged in (b"", sound[:-20], sound.replace(b'"rows": 256', b'"rows": 255'), b"[1]"):
        marker.write_bytes(damaged)
        assert store.feature("x").committed_rows == 0
    assert store.writer("x", spec).pending() == [0, 1]
    fill(store, "x", X)
    np.testing.assert_array_equal(store.view("x").array(), X.astype(np.float16))


@pytest.mark.parametrize(
    ("value", "dtype", "match"),
    [(np.nan, "float16", "NaN or Inf for row 1"), (1e5, "float16", "--dtype float32")],
)
def test_values_that_cannot_be_stored(
    new_store: NewStore, value: float, dtype: str, match: str
) -> None:
    store = new_store(10)
    writer = store.writer("x", make_spec(store.samples, dim=2, dtype=dtype))
    X = np.zeros((10, 2), np.float32)
    X[1, 1] = value
    with pytest.raises(InvalidInputError, match=match):
        writer.put(0, X)
    assert writer.pending() == [0]


def test_a_full_disk_leaves_a_resumable_feature(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(1000)
    spec = make_spec(store.samples, dim=8)
    X = features(1000, 8)
    writer = store.writer("x", spec)
    writer.put(0, X[:256])

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="disk is full: free some space"):
            writer.put(1, X[256:512])
    assert not list(store.path.rglob("*.partial"))
    fill(store, "x", X)
    np.testing.assert_array_equal(store.view("x").array(), X.astype(np.float16))


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """Return a folder that this process may read but not write, also when tests run as root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_no_write_permission(forbidden: Path) -> None:
    with pytest.raises(StorageError, match="permission denied: make the folder writable"):
        FeatureStore.create(forbidden / "s.zarr", make_samples(3))


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot write"):
        FeatureStore.create(tmp_path / "file" / "s.zarr", make_samples(3))


def test_opening_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError, match="featstore extract"):
        FeatureStore.open(tmp_path / "none.zarr")
    zarr.create_group(tmp_path / "other.zarr")
    for path in (tmp_path / "other.zarr", tmp_path):
        with pytest.raises(NotAStoreError):
            FeatureStore.open(path)
    with pytest.raises(NotAStoreError, match="something else is there"):
        FeatureStore.create(tmp_path, make_samples(3))


def test_a_newer_format_is_refused(new_store: NewStore) -> None:
    store = new_store(5)
    path = store.path / "zarr.json"
    metadata = json.loads(path.read_bytes())
    metadata["attributes"]["featstore"]["format"] = 99
    path.write_text(json.dumps(metadata))
    with pytest.raises(NotAStoreError, match="format 99"):
        FeatureStore.open(store.path)


def test_near_names_are_suggested(new_store: NewStore) -> None:
    store = new_store(300, resnet50=features(300, 2))
    with pytest.raises(FeatureNotFoundError, match="Did you mean resnet50"):
        store.view("resnet5O")
    with pytest.raises(KeyError, match="no split 'tset'"):
        store.view("resnet50", split="tset")
    with pytest.raises(FeatureNotFoundError, match="no target 'lable'"):
        store.target("lable")
    with pytest.raises(InvalidInputError, match="cannot be used as a name"):
        store.writer("../x", make_spec(store.samples, dim=2))


def test_truncated_and_missing_shards_are_named(new_store: NewStore) -> None:
    store = new_store(1000, x=features(1000, 64))
    shard = (store.path / "features" / "x") / "c" / "1" / "0"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(CorruptStoreError, match="bytes instead of"):
        store.view("x").array()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CorruptStoreError, match="index of shard 1"):
        store.view("x").array()
    shard.unlink()
    with pytest.raises(CorruptStoreError, match="is missing"):
        store.view("x").array()


def test_deleting_a_feature(new_store: NewStore) -> None:
    store = new_store(300, x=features(300, 2), y=features(300, 2))
    store.delete_feature("x")
    assert store.features == ["y"]
    assert not (store.path / "features" / "x").exists()


def test_unaligned_layouts_are_not_mapped_but_read() -> None:
    assert not can_map(ShardLayout(1000, 3, "float16", 100, 100))


def test_mapping_checks_before_it_maps(new_store: NewStore) -> None:
    store = new_store(1000, x=features(1000, 64))
    shutil.rmtree((store.path / "features" / "x") / "c" / "3")
    with pytest.raises(CorruptStoreError, match="is missing"):
        store.view("x").take(np.array([0]))


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([-1, 2], "1 of 2 rows are not rows of the store"),
        ([0, 300], "e.g. 300"),
        ([0.5, 1], "must be row numbers"),
        ([[0], [1]], "must be row numbers"),
        ([True, False], "must be row numbers"),
    ],
)
def test_rows_that_are_none(new_store: NewStore, rows: list[object], match: str) -> None:
    store = new_store(300, x=features(300, 2))
    with pytest.raises(InvalidInputError, match=match):
        store.view("x", rows=np.asarray(rows))


def test_a_mask_chooses_rows(new_store: NewStore) -> None:
    store = new_store(300, x=features(300, 2))
    mask = np.arange(300) % 7 == 0
    view = store.view("x", rows=mask)
    assert view.rows.tolist() == np.flatnonzero(mask).tolist()
    np.testing.assert_array_equal(view.array(), store.view("x").array()[mask])


def test_a_feature_cannot_be_fused_with_itself(new_store: NewStore) -> None:
    store = new_store(300, x=features(300, 2))
    with pytest.raises(InvalidInputError, match="each once"):
        store.view(["x", "x"])


def test_a_late_writer_cannot_touch_a_sealed_feature(new_store: NewStore) -> None:
    store = new_store(300)
    X, spec = features(300, 8), make_spec(store.samples, dim=8)
    late = store.writer("x", spec)
    fill(store, "x", X)
    for writer in (late, store.writer("x", spec)):
        with pytest.raises(InvalidInputError, match="is complete"):
            writer.put(0, 0.5 * X[:256])
        writer.seal()
    np.testing.assert_array_equal(store.view("x").array(), X.astype(np.float16))


def test_leftovers_of_a_deleted_feature_do_not_count(new_store: NewStore) -> None:
    store = new_store(300)
    X, spec = features(300, 8), make_spec(store.samples, dim=8)
    store.writer("x", spec).put(0, X[:256])
    # A kill in the middle of a removal by another tool: no metadata, a marker without a shard.
    ((store.path / "features" / "x") / "zarr.json").unlink()
    ((store.path / "features" / "x") / "c" / "0" / "0").unlink()
    assert store.writer("x", spec).pending() == [0, 1]


def test_a_shard_that_is_gone_is_not_sealed(new_store: NewStore) -> None:
    store = new_store(300)
    X = features(300, 8)
    writer = store.writer("x", make_spec(store.samples, dim=8))
    writer.put(0, X[:256])
    writer.put(1, X[256:])
    (store.path / "features" / "x" / "c" / "0" / "0").unlink()
    with pytest.raises(InvalidInputError, match="1 of 2 shards are missing"):
        writer.seal()
    writer.put(0, X[:256])
    writer.seal()
    np.testing.assert_array_equal(store.view("x").array(), X.astype(np.float16))


def test_a_feature_without_commits_may_be_started_in_another_way(new_store: NewStore) -> None:
    store = new_store(300)
    store.writer("x", make_spec(store.samples, dim=8))
    fill(store, "x", features(300, 8), dtype="float32")
    assert store.view("x").dtype == np.float32


HOLD = """
import sys, time
from pathlib import Path
from featstore.durable import Aside
asides = [Aside(sys.argv[1], [b"half"]) for _ in range(2)]
print(*(aside.name for aside in asides), sep="\\n", flush=True)
time.sleep(60)
"""


def test_only_leftovers_of_dead_writers_are_swept(new_store: NewStore) -> None:
    store = new_store(300)
    spec = make_spec(store.samples, dim=8)
    store.writer("x", spec)
    target = store.path / "features" / "x" / "zarr.json"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child, child.stdout:
        leftovers = [Path(child.stdout.readline().strip()) for _ in range(2)]
        store.writer("x", spec)
        assert all(leftover.exists() for leftover in leftovers)
        child.kill()
    store.writer("x", spec)
    assert not any(leftover.exists() for leftover in leftovers)
