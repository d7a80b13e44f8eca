"""merge: the rows of several stores, bit for bit, whatever interrupts it."""

from __future__ import annotations

import dataclasses
import shutil
import threading
import tracemalloc
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import kill_merges
import numpy as np
import pandas as pd
import pytest
import zarr
from faulty_os import FaultyDisk, Killed
from hypothesis import given, settings
from hypothesis import strategies as st
from kill_writers import tree_digest
from numpy.typing import NDArray
from small_run import make_run
from small_store import fill, make_samples, make_spec, part
from store_life import leftovers

import featstore as fs
from featstore.errors import (
    CorruptStoreError,
    FeatureNotFoundError,
    InvalidInputError,
    NotSealedError,
    SpecMismatchError,
)
from featstore.samples import Samples, Target
from featstore.store import FeatureStore
from featstore.taxonomy import Taxonomy

ROWS, DIM = 700, 8


def values(rows: int = ROWS, dim: int = DIM) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((rows, dim)).astype(np.float32)


@pytest.fixture
def halves(tmp_path: Path) -> list[FeatureStore]:
    """Return two stores that together hold `values()` as x."""
    return make_parts(tmp_path, [np.arange(300), np.arange(300, ROWS)])


def make_parts(
    folder: Path,
    parts: Sequence[NDArray[np.intp]],
    *,
    excluded: frozenset[int] = frozenset(),
    features: Sequence[str] = ("x", "y"),
) -> list[FeatureStore]:
    samples, X = make_samples(ROWS), values()
    stores = []
    for i, rows in enumerate(parts):
        store = FeatureStore.create(folder / f"part{i}.zarr", part(samples, rows))
        for name in features:
            dtype = "float16" if name == "x" else "float32"
            writer = store.writer(name, make_spec(store.samples, dim=DIM, dtype=dtype))
            for shard in writer.pending():
                own = writer.layout.shard_range(shard)
                torn = {row: f"torn {rows[row]}" for row in own if rows[row] in excluded}
                writer.put(shard, X[rows[own.start : own.stop]], excluded=torn)
            writer.seal()
        stores.append(store)
    return stores


@settings(max_examples=6, deadline=None)
@given(
    owners=st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS)
    | st.lists(st.integers(0, ROWS), min_size=1, max_size=4).map(
        lambda cuts: np.searchsorted(sorted(cuts), np.arange(ROWS), side="right").tolist()
    ),
    excluded=st.frozensets(st.integers(0, ROWS - 1), max_size=5),
    name=st.sampled_from(["x", "y"]),
)
def test_a_partition_merged_is_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    owners: list[int],
    excluded: frozenset[int],
    name: str,
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    order = [np.flatnonzero(np.asarray(owners) == i) for i in range(max(owners) + 1)]
    stores = make_parts(folder, order, excluded=excluded, features=[name])
    all_rows = [np.concatenate(order)]
    whole = make_parts(folder / "whole", all_rows, excluded=excluded, features=[name])[0]
    merged = fs.merge(stores, folder / "merged.zarr").store
    assert merged.samples.differences(whole.samples) == []
    assert merged.samples.digest == whole.samples.digest
    assert merged.samples.labels_digest == whole.samples.labels_digest
    info, expected = merged.feature(name), whole.feature(name)
    assert info.spec == expected.spec
    assert info.excluded == expected.excluded
    # Bit for bit, NaN of excluded rows included.
    files = tree_digest(whole.path / "features" / name)
    assert tree_digest(merged.path / "features" / name) == files
    assert fs.verify(merged) == []


def test_other_readers_see_it(halves: list[FeatureStore], tmp_path: Path) -> None:
    fs.merge(halves, tmp_path / "m.zarr")
    seen = zarr.open_array(tmp_path / "m.zarr" / "features" / "y", mode="r")
    np.testing.assert_array_equal(seen[:], values())


def test_again_is_nothing_to_do(halves: list[FeatureStore], tmp_path: Path) -> None:
    first = fs.merge(halves, tmp_path / "m.zarr")
    assert (first.merged, first.unchanged) == (("x", "y"), ())
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "m.zarr").rglob("*") if p.is_file()}
    again = fs.merge([store.path for store in halves], tmp_path / "m.zarr")
    assert (again.merged, again.unchanged) == ((), ("x", "y"))
    assert before == {
        p: p.stat().st_mtime_ns for p in (tmp_path / "m.zarr").rglob("*") if p.is_file()
    }


def test_features_can_be_added_later(halves: list[FeatureStore], tmp_path: Path) -> None:
    assert fs.merge(halves, tmp_path / "m.zarr", features=["y"]).merged == ("y",)
    later = fs.merge(halves, tmp_path / "m.zarr")
    assert (later.merged, later.unchanged) == (("x",), ("y",))


def test_repeated_ids_need_a_prefix(tmp_path: Path) -> None:
    stores = make_parts(tmp_path, [np.arange(3), np.arange(2, 5)])
    with pytest.raises(InvalidInputError, match=r"1 ids .*ü/000002.jpg' in .*part0.*--prefix"):
        fs.merge(stores, tmp_path / "m.zarr")
    assert not (tmp_path / "m.zarr").exists()
    merged = fs.merge(stores, tmp_path / "m.zarr", prefix=True).store
    assert merged.samples.ids.tolist()[2:4] == ["part0/ü/000002.jpg", "part1/ü/000002.jpg"]
    named = fs.merge(stores, tmp_path / "n.zarr", prefix=["a", "b"]).store
    assert named.samples.ids.tolist()[0] == "a/ü/000000.jpg"


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", ""], ["a", "b/c"], []])
def test_prefixes_that_do_not_serve(
    halves: list[FeatureStore], tmp_path: Path, names: list[str]
) -> None:
    with pytest.raises(InvalidInputError):
        fs.merge(halves, tmp_path / "m.zarr", prefix=names)


def test_stores_of_one_name_cannot_be_told_apart(tmp_path: Path) -> None:
    a = make_parts(tmp_path / "a", [np.arange(3)])
    b = make_parts(tmp_path / "b", [np.arange(3)])
    with pytest.raises(InvalidInputError, match=r"'part0', 'part0'; .*--prefix-names"):
        fs.merge([*a, *b], tmp_path / "m.zarr", prefix=True)


def test_features_that_only_some_have(halves: list[FeatureStore], tmp_path: Path) -> None:
    fill(halves[0], "extra", values(300))
    with pytest.raises(InvalidInputError, match=r"extra \(extra is not in .*part1.zarr\)"):
        fs.merge(halves, tmp_path / "m.zarr")
    with pytest.raises(FeatureNotFoundError, match=r"part1.zarr has no feature 'extra'"):
        fs.merge(halves, tmp_path / "m.zarr", features=["extra"])
    assert fs.merge(halves, tmp_path / "m.zarr", common=True).store.features == ["x", "y"]
    halves[1].delete_feature("x")
    halves[1].delete_feature("y")
    with pytest.raises(InvalidInputError, match="no feature in common"):
        fs.merge(halves, tmp_path / "n.zarr", common=True)


def test_lists_that_are_empty(halves: list[FeatureStore], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="nothing to merge"):
        fs.merge([], tmp_path / "m.zarr")
    with pytest.raises(InvalidInputError, match="list of features is empty"):
        fs.merge(halves, tmp_path / "m.zarr", features=[])


def test_unfinished_features_are_refused(halves: list[FeatureStore], tmp_path: Path) -> None:
    for store in halves:
        store.writer("z", make_spec(store.samples, dim=DIM)).put(0, values()[:256])
    with pytest.raises(
        NotSealedError, match=r"'z' of .*part0.zarr .* 256 of 300 rows .*--features"
    ):
        fs.merge(halves, tmp_path / "m.zarr")
    assert not (tmp_path / "m.zarr").exists()


def test_specs_must_agree(halves: list[FeatureStore], tmp_path: Path) -> None:
    fill(halves[0], "z", values(300), weights="1")
    fill(halves[1], "z", values(400), weights="2")
    with pytest.raises(SpecMismatchError, match=r"'z' was made in different ways") as error:
        fs.merge(halves, tmp_path / "m.zarr")
    lines = str(error.value).splitlines()[1:-1]
    assert lines == [f"  backbone.weights_digest: {'1' * 64} | {'2' * 64}"]


def test_names_for_people_may_differ(halves: list[FeatureStore], tmp_path: Path) -> None:
    for store, source in zip(halves, ("timm/a", "checkpoint:b.pth"), strict=True):
        spec = make_spec(store.samples, dim=DIM)
        backbone = dataclasses.replace(spec.backbone, source=source)
        writer = store.writer("z", dataclasses.replace(spec, backbone=backbone))
        for shard in writer.pending():
            rows = writer.layout.shard_range(shard)
            writer.put(shard, values()[rows.start : rows.stop])
        writer.seal()
    merged = fs.merge(halves, tmp_path / "m.zarr", features=["z"])
    assert merged.store.feature("z").spec.backbone.source == "timm/a"


def test_imported_features_have_no_weights_to_compare(tmp_path: Path) -> None:
    samples, X = make_samples(ROWS), values()
    paths = []
    for i, rows in enumerate([np.arange(300), np.arange(300, ROWS)]):
        FeatureStore.create(tmp_path / f"{i}.zarr", part(samples, rows))
        np.save(tmp_path / f"{i}.npy", X[rows])
        fs.import_features(
            tmp_path / f"{i}.npy",
            tmp_path / f"{i}.zarr",
            name="z",
            backbone="net",
            by_position=True,
        )
        paths.append(tmp_path / f"{i}.zarr")
    merged = fs.merge(paths, tmp_path / "m.zarr")
    np.testing.assert_array_equal(merged.store.view("z").array(), X)
    assert merged.notes[-1].startswith("feature 'z' was imported")
    assert fs.merge(paths, tmp_path / "m.zarr").merged == ()
    fs.merge(paths[::-1], tmp_path / "other.zarr")
    other = FeatureStore.open(tmp_path / "other.zarr").feature("z").spec.backbone
    assert other.weights_digest != merged.store.feature("z").spec.backbone.weights_digest


def test_places_that_cannot_be_written(halves: list[FeatureStore], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is one of the stores to merge"):
        fs.merge(halves, halves[0].path)
    with pytest.raises(InvalidInputError, match="given twice"):
        fs.merge([*halves, str(halves[0].path)], tmp_path / "m.zarr")
    foreign = FeatureStore.create(tmp_path / "other.zarr", make_samples(3))
    with pytest.raises(InvalidInputError, match="merge did not make it"):
        fs.merge(halves, foreign.path)
    fs.merge(halves, tmp_path / "m.zarr")
    with pytest.raises(
        InvalidInputError, match="merged from other samples: the same ids in another"
    ):
        fs.merge(halves[::-1], tmp_path / "m.zarr")


def test_damage_is_not_passed_on(halves: list[FeatureStore], tmp_path: Path) -> None:
    path = halves[1].path / "features" / "x" / "c" / "1" / "0"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptStoreError, match=r"part1.zarr/features/x/c/1/0 .* rows 256 to 399"):
        fs.merge(halves, tmp_path / "m.zarr")
    assert not FeatureStore.open(tmp_path / "m.zarr").feature("x").sealed


def test_features_of_other_rows_are_refused(halves: list[FeatureStore], tmp_path: Path) -> None:
    names = np.asarray([f"other/{i}" for i in range(300)])
    other = FeatureStore.create(tmp_path / "other.zarr", Samples(names, np.full(300, "")))
    for name in ("x", "y"):
        folder = Path("features") / name
        shutil.copytree(halves[0].path / folder, other.path / folder)
    with pytest.raises(CorruptStoreError, match=r"'x' of .*other.zarr .* computed for other rows"):
        fs.merge([other, halves[1]], tmp_path / "m.zarr", targets=[])


def taxonomy(group: str) -> Taxonomy:
    frame = {"class": ["class 0", "class 1", "class 2"], "group": ["g", "g", group]}
    return Taxonomy.from_frame(pd.DataFrame(frame))


def test_taxonomies_and_runs(halves: list[FeatureStore], tmp_path: Path) -> None:
    for store in halves:
        store.save_taxonomy("same", taxonomy("h"))
    halves[0].save_taxonomy("one", taxonomy("i"))
    halves[0].save_taxonomy("torn", taxonomy("j"))
    halves[1].save_taxonomy("torn", taxonomy("k"))
    halves[1].save_run(make_run("r", seed=0))
    merged = fs.merge(halves, tmp_path / "m.zarr")
    assert merged.store.taxonomies == ["one", "same"]
    assert merged.store.taxonomy("one") == taxonomy("i")
    assert merged.store.runs == []
    assert merged.notes == (
        "taxonomy 'torn' is not merged: the stores have different ones",
        "1 runs are not merged: each belongs to the rows of its own store",
    )


def test_labels_of_stores_that_know_different_classes(tmp_path: Path) -> None:
    stores = []
    for i, labels in enumerate((["b", "c"], ["a", None, "c"])):
        ids = np.asarray([f"{i}{j}" for j in range(len(labels))])
        samples = Samples(ids, np.full(len(ids), "train"), {"y": Target.from_labels(labels)})
        store = FeatureStore.create(tmp_path / f"{i}.zarr", samples)
        fill(store, "x", values(len(ids)))
        stores.append(store)
    merged = fs.merge(stores, tmp_path / "m.zarr").store
    target = merged.target("y")[1]
    assert target.classes == ("a", "b", "c")
    assert target.codes.tolist() == [1, 2, 0, -1, 2]


def test_few_shards_in_memory(tmp_path: Path) -> None:
    rows, dim = 10_000, 512
    samples, X = make_samples(rows), values(rows, dim)
    stores = []
    for i, own in enumerate([np.arange(4_500), np.arange(4_500, rows)]):
        store = FeatureStore.create(tmp_path / f"{i}.zarr", part(samples, own))
        fill(store, "x", X[own], dtype="float32")
        stores.append(store)
    fs.merge(stores, tmp_path / "warm.zarr", features=["x"])
    tracemalloc.start()
    merged = fs.merge([FeatureStore.open(store.path) for store in stores], tmp_path / "m.zarr")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    merged_layout = merged.store.feature("x").layout
    shard = merged_layout.shard_rows * merged_layout.row_bytes
    table = 8 * (samples.ids.nbytes + samples.splits.nbytes)
    assert merged_layout.n_shards > 30
    assert peak < 4 * shard + table < X.nbytes


def test_two_processes_merge_the_same(halves: list[FeatureStore], tmp_path: Path) -> None:
    wanted = tree_digest(fs.merge(halves, tmp_path / "reference.zarr").store.path)
    FeatureStore.open(tmp_path / "reference.zarr")
    fs.merge(halves, tmp_path / "m.zarr", features=["x"])
    results: list[fs.Merge] = []
    threads = [
        threading.Thread(target=lambda: results.append(fs.merge(halves, tmp_path / "m.zarr")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert tree_digest(tmp_path / "m.zarr") == wanted


@pytest.mark.parametrize("first", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_at_any_call_and_done_again(tmp_path: Path, first: int) -> None:
    parts = [np.arange(260), np.arange(260, 300)]
    stores = make_parts(tmp_path / "parts", parts, features=["x"])
    stores[0].save_taxonomy("t", taxonomy("h"))
    counted = FaultyDisk(tmp_path)
    with counted.active():
        fs.merge(stores, tmp_path / "reference" / "m.zarr")
    wanted = tree_digest(tmp_path / "reference" / "m.zarr")
    stride = 17 if first == 1 else 1
    for at in range(first, counted.calls + 1, stride):
        out = tmp_path / f"killed{at}" / "m.zarr"
        disk = FaultyDisk(tmp_path, at=at, failure="kill")
        with suppress(Killed), disk.active():
            fs.merge(stores, out)
        assert disk.failed
        assert fs.merge(stores, out).store.features == ["x"]
        assert tree_digest(out) == wanted
        assert not leftovers(out)


@pytest.mark.slow
def test_killed_merges_resume_bit_identically(tmp_path: Path) -> None:
    assert kill_merges.run(tmp_path, kills=3) >= 3


@pytest.mark.slow
def test_a_hundred_killed_merges(tmp_path: Path) -> None:
    assert kill_merges.run(tmp_path, kills=100, seed=1) >= 100
