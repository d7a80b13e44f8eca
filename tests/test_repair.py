"""repair sets damaged shards aside; extracting again makes the store what it was, bit for bit."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import zarr
from faulty_os import FaultyDisk, Killed
from interruption import Interruption
from kill_writers import tree_digest
from numpy.typing import NDArray
from power_loss import PowerCut, PowerTrace
from small_store import make_samples, make_spec

import featstore as fs
from featstore.errors import CorruptStoreError, FeatstoreError, NotSealedError
from featstore.store import FeatureStore
from featstore.verification import Finding, repair

ROWS, DIM = 900, 8


def values() -> NDArray[np.float32]:
    return np.random.default_rng(5).standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with one feature of four shards, and a row without an image."""
    store = FeatureStore.create(tmp_path_factory.mktemp("repair") / "s.zarr", make_samples(ROWS))
    grow(store)
    return store.path


def grow(store: FeatureStore) -> list[int]:
    """Write what the feature lacks, as an extraction does; return which shards that were."""
    writer = store.writer("x", make_spec(store.samples, dim=DIM))
    pending = writer.pending()
    for shard in pending:
        rows = writer.layout.shard_range(shard)
        excluded = {700: "torn"} if 700 in rows else None
        writer.put(shard, values()[rows.start : rows.stop], excluded=excluded)
    writer.seal()
    return pending


@pytest.fixture
def store(pristine: Path, tmp_path: Path) -> FeatureStore:
    return FeatureStore.open(shutil.copytree(pristine, tmp_path / "s.zarr"))


def shard(store: FeatureStore, number: int) -> Path:
    return store.path / "features" / "x" / "c" / str(number) / "0"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


def damage_in(store: FeatureStore) -> list[Finding]:
    return [finding for finding in fs.verify(store) if finding.severity == "damage"]


def without_quarantine(digests: Mapping[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in digests.items() if "/_quarantine/" not in name}


def test_only_damaged_shards_are_written_again(store: FeatureStore) -> None:
    before = tree_digest(store.path)
    flip(shard(store, 2))
    shard(store, 0).unlink()
    damaged = shard(store, 2).read_bytes()
    done = repair(store, fs.verify(store))
    assert [(r.place, r.action) for r in done] == [
        ("features/x/c/2/0", "moved to features/x/_quarantine/2.0"),
        ("features/x/zarr.json", "unfinished: 2 shards have to be computed again"),
    ]
    assert (store.path / "features" / "x" / "_quarantine" / "2.0").read_bytes() == damaged
    assert damage_in(store) == []
    with pytest.raises(NotSealedError, match="388 of 900 rows"):
        store.view("x")
    assert zarr.open_array(store.path / "features" / "x", mode="r").shape == (0, DIM)
    assert grow(store) == [0, 2]
    assert without_quarantine(tree_digest(store.path)) == before
    assert fs.compact(store).files == 1
    assert fs.verify(store) == []


def test_a_shard_that_is_damaged_twice_is_kept_twice(store: FeatureStore) -> None:
    for _ in range(2):
        flip(shard(store, 1))
        repair(store, fs.verify(store))
        assert grow(store) == [1]
    quarantine = store.path / "features" / "x" / "_quarantine"
    assert sorted(file.name for file in quarantine.iterdir()) == ["1.0", "1.1"]


def test_every_shard_may_be_damaged(store: FeatureStore) -> None:
    before = tree_digest(store.path)
    for number in range(4):
        flip(shard(store, number))
    repair(store, fs.verify(store))
    assert grow(store) == [0, 1, 2, 3]
    # An attempt that has nothing gives way as a whole, and what was set aside with it.
    assert without_quarantine(tree_digest(store.path)) == before


def test_a_sound_store_is_left_alone(store: FeatureStore) -> None:
    before = tree_digest(store.path)
    assert repair(store, fs.verify(store)) == []
    assert tree_digest(store.path) == before


def test_what_is_sound_by_now_is_left_alone(store: FeatureStore) -> None:
    before = tree_digest(store.path)
    sound = shard(store, 1).read_bytes()
    flip(shard(store, 1))
    findings = fs.verify(store)
    shard(store, 1).write_bytes(sound)
    assert repair(store, findings) == []
    assert tree_digest(store.path) == before


@pytest.mark.parametrize("change", ["removed", "damaged"])
def test_a_feature_that_has_changed_since(store: FeatureStore, change: str) -> None:
    flip(shard(store, 1))
    findings = fs.verify(store)
    if change == "removed":
        store.delete_feature("x")
    else:
        flip(store.path / "features" / "x" / "zarr.json")
    with pytest.raises(CorruptStoreError, match="has changed since it was verified"):
        repair(store, findings)


@pytest.mark.parametrize("name", ["zarr.json", "manifest.json"])
def test_without_sound_metadata_nothing_is_repaired(store: FeatureStore, name: str) -> None:
    flip(store.path / "features" / "x" / name)
    flip(shard(store, 1))
    before = tree_digest(store.path)
    (found,) = damage_in(store)
    assert found.advice[0] == f"featstore rm {store.path} x"
    assert repair(store, [found]) == []
    assert tree_digest(store.path) == before


def test_damage_elsewhere_does_not_keep_a_feature_from_being_repaired(store: FeatureStore) -> None:
    before = tree_digest(store.path)
    sound = {name: (store.path / name).read_bytes() for name in ("zarr.json", "samples/ids/c/0")}
    for name in sound:
        flip(store.path / name)
    flip(shard(store, 3))
    repair(store.path, fs.verify(store.path))
    for name, content in sound.items():
        (store.path / name).write_bytes(content)
    assert grow(FeatureStore.open(store.path)) == [3]
    assert without_quarantine(tree_digest(store.path)) == before


def test_a_damaged_request_is_forgotten(store: FeatureStore) -> None:
    store.feature("x").remember({"source": "test/net"})
    flip(store.path / "features" / "x" / "request.json")
    done = repair(store, fs.verify(store))
    assert [r.place for r in done] == ["features/x/request.json"]
    assert store.feature("x").request is None
    assert store.feature("x").sealed


# Unfinished features


@pytest.fixture
def unfinished(tmp_path: Path) -> FeatureStore:
    store = FeatureStore.create(tmp_path / "u.zarr", make_samples(ROWS))
    writer = store.writer("x", make_spec(store.samples, dim=DIM))
    for number in (0, 1, 2):
        rows = writer.layout.shard_range(number)
        excluded = {700: "torn"} if 700 in rows else None
        writer.put(number, values()[rows.start : rows.stop], excluded=excluded)
    return store


def test_damaged_shards_of_an_unfinished_feature_do_not_count(
    unfinished: FeatureStore, pristine: Path
) -> None:
    flip(shard(unfinished, 1))
    flip(unfinished.path / "features" / "x" / "_commits" / "00000002.json")
    done = repair(unfinished, fs.verify(unfinished))
    assert [r.place.removeprefix("features/x/") for r in done] == [
        "_commits/00000002.json",
        "c/1/0",
        "_commits/00000001.json",
    ]
    assert damage_in(unfinished) == []
    assert grow(unfinished) == [1, 2, 3]
    assert without_quarantine(tree_digest(unfinished.path)) == tree_digest(pristine)


def test_damaged_bytes_that_still_lie_aside(unfinished: FeatureStore, pristine: Path) -> None:
    folder = unfinished.path / "features" / "x"
    staged = json.loads((folder / "_commits" / "00000001.json").read_bytes())["staged"]
    shard(unfinished, 1).rename(folder / staged)
    flip(folder / staged)
    repair(unfinished, fs.verify(unfinished))
    assert grow(unfinished) == [1, 3]
    assert tree_digest(unfinished.path) == tree_digest(pristine)


# At any moment

#: How many calls to the disk lie between two tries; every one is tried by ``pytest -m slow``.
strides = pytest.mark.parametrize("stride", [10, pytest.param(1, marks=pytest.mark.slow)])


@pytest.fixture
def begin(pristine: Path, tmp_path: Path) -> Callable[[], tuple[FeatureStore, list[Finding]]]:
    """Return what makes a store with two damaged shards, again and again at one place."""
    path = tmp_path / "s.zarr"
    findings: list[Finding] = []

    def begin() -> tuple[FeatureStore, list[Finding]]:
        shutil.rmtree(path, ignore_errors=True)
        store = FeatureStore.open(shutil.copytree(pristine, path))
        flip(shard(store, 1))
        shard(store, 2).unlink()
        findings[:] = findings or fs.verify(store)
        return store, findings

    return begin


@strides
def test_a_kill_at_any_moment(
    pristine: Path, begin: Callable[[], tuple[FeatureStore, list[Finding]]], stride: int
) -> None:
    """Whichever call to the disk is the last one, repairing and extracting again heals all."""
    wanted = tree_digest(pristine)
    store, findings = begin()
    undisturbed = FaultyDisk(store.path)
    with undisturbed.active():
        repair(store, findings)
    states = set()
    for at in range(undisturbed.calls, 0, -stride):
        store, findings = begin()
        disk = FaultyDisk(store.path, at=at, failure="kill")
        with pytest.raises(Killed), disk.active():
            repair(store, findings)
        sealed = store.feature("x").sealed
        shown = zarr.open_array(store.path / "features" / "x", mode="r").shape[0]
        assert shown == (ROWS if sealed else 0)
        left = fs.verify(store)
        damaged = [finding.shard for finding in left if finding.severity == "damage"]
        assert damaged == ([1, 2] if sealed else [])
        repair(store, left)
        assert grow(store) == [1, 2]
        assert without_quarantine(tree_digest(store.path)) == wanted
        states.add(sealed)
    assert states == {True, False}


@strides
def test_a_power_cut_at_any_moment(
    pristine: Path,
    tmp_path: Path,
    begin: Callable[[], tuple[FeatureStore, list[Finding]]],
    stride: int,
) -> None:
    """Whatever of the unflushed survives, repairing and extracting again heals all."""
    wanted = tree_digest(pristine)
    store, findings = begin()
    trace = PowerTrace(store.path)
    before = len(trace.events)
    with trace.active():
        repair(store, findings)
    rng = random.Random(0)
    for after in range(len(trace.events), before, -stride):
        cut = PowerCut(trace, after)
        for medium in cut.states(rng, 1):
            path = tmp_path / "cut.zarr"
            shutil.rmtree(path, ignore_errors=True)
            cut.write(medium, path)
            left = FeatureStore.open(path)
            repair(left, fs.verify(left))
            assert damage_in(left) == []
            # What was sound need never be computed again.
            assert grow(left) == [1, 2]
            assert without_quarantine(tree_digest(path)) == wanted


@strides
def test_a_writer_at_any_moment(
    pristine: Path, begin: Callable[[], tuple[FeatureStore, list[Finding]]], stride: int
) -> None:
    """Before whichever call another process extracts, nothing damaged ever counts."""
    wanted = tree_digest(pristine)

    def extract() -> None:
        # While the feature is sealed and lacks a shard this is refused, or does nothing.
        with suppress(FeatstoreError):
            grow(FeatureStore.open(store.path))

    for at in itertools.count(1, stride):
        store, findings = begin()
        interruption = Interruption(store.path, extract, at=at)
        with interruption.active():
            repair(store, findings)
        if interruption.interrupted is None:
            break
        assert damage_in(store) == []
        grow(store)
        assert without_quarantine(tree_digest(store.path)) == wanted
    assert at > 20


# With an extraction


def test_extraction_computes_just_what_was_damaged(photos: Path, tmp_path: Path) -> None:
    command: Callable[[], fs.Extraction] = lambda: fs.extract(  # noqa: E731 - read as a command
        photos, ["random/resnet18?size=32"], tmp_path / "s.zarr"
    )
    store = command().store
    before = tree_digest(store.path)
    folder = store.path / "features" / "random_resnet18"
    flip(folder / "c" / "1" / "0")
    findings = fs.verify(store)
    assert f"extract {photos}" in findings[0].advice[1]
    repair(store, findings)
    again = command()
    assert (again.computed, again.images) == (("random_resnet18",), 44)
    assert without_quarantine(tree_digest(store.path)) == before
