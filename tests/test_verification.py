"""verify finds every kind of damage, and names it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from digits_store import make_digits_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import featstore as fs
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = make_digits_store(tmp_path_factory.mktemp("verify") / "d.zarr")
    fs.probe(store, "pca", value=0.1, n_boot=0, name="run")
    return store.path


@pytest.fixture
def store(pristine: Path, tmp_path: Path) -> FeatureStore:
    return FeatureStore.open(shutil.copytree(pristine, tmp_path / "d.zarr"))


def test_a_sound_store(store: FeatureStore) -> None:
    assert fs.verify(store) == []


def swap(folder: Path) -> None:
    a, b = folder / "c" / "0" / "0", folder / "c" / "1" / "0"
    one, two = a.read_bytes(), b.read_bytes()
    a.write_bytes(two)
    b.write_bytes(one)


def edit_spec(folder: Path) -> None:
    path = folder / "zarr.json"
    metadata = json.loads(path.read_bytes())
    metadata["attributes"]["featstore"]["spec"]["numerics"] = "bf16"
    path.write_text(json.dumps(metadata))


def edit_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"rows": 256', b'"rows": 255', 1))


@pytest.mark.parametrize(
    ("damage", "place", "problem"),
    [
        (swap, "features/pixels/c/0/0", "another checksum"),
        (lambda f: (f / "c" / "1" / "0").unlink(), "features/pixels/c/1/0", "is missing"),
        (
            lambda f: (f / "c" / "1" / "0").write_bytes((f / "c" / "1" / "0").read_bytes()[:-5]),
            "features/pixels/c/1/0",
            "bytes instead of",
        ),
        (edit_spec, "features/pixels/zarr.json", "spec was edited"),
        (edit_manifest, "features/pixels", "not the manifest"),
        (lambda f: (f / "manifest.json").unlink(), "features/pixels", "is missing"),
        (lambda f: (f / "zarr.json").write_text("{}"), "features/pixels", ""),
    ],
)
def test_damage_is_named(
    store: FeatureStore, damage: Callable[[Path], object], place: str, problem: str
) -> None:
    damage(store.path / "features" / "pixels")
    findings = fs.verify(store)
    assert findings[0].place == place
    assert problem in findings[0].problem
    assert not any("pca" in finding.place for finding in findings)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_flipped_bit_of_a_shard_is_found(store: FeatureStore, data: st.DataObject) -> None:
    shard = data.draw(st.integers(0, 7))
    path = (store.path / "features" / "pixels") / "c" / str(shard) / "0"
    sound = path.read_bytes()
    byte = data.draw(st.integers(0, len(sound) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = bytearray(sound)
    damaged[byte] ^= 1 << bit
    path.write_bytes(damaged)
    found = [finding.place for finding in fs.verify(store)]
    path.write_bytes(sound)
    assert found == [f"features/pixels/c/{shard}/0"]


def test_labels_out_of_range(store: FeatureStore) -> None:
    zarr.open_array(store.path / "samples" / "targets" / "digit")[5] = 10
    findings = fs.verify(FeatureStore.open(store.path))
    assert [finding.place for finding in findings] == ["samples", "samples/targets/digit"]
    assert "1 labels are outside of its 10 classes" in findings[1].problem


def test_moved_rows_and_edited_labels(store: FeatureStore) -> None:
    for name, value in (("split", 1), ("targets/digit", 3)):
        array = zarr.open_array(store.path / "samples" / name)
        before = array[5]
        array[5] = value
        findings = fs.verify(FeatureStore.open(store.path))
        assert [finding.problem for finding in findings] == [
            "splits or labels are not the ones that were written"
        ]
        array[5] = before
    assert fs.verify(FeatureStore.open(store.path)) == []


def test_edited_ids(store: FeatureStore) -> None:
    zarr.open_array(store.path / "samples" / "ids")[5] = ord("X")
    findings = fs.verify(FeatureStore.open(store.path))
    assert findings[0].place == "samples"


def test_a_damaged_run(store: FeatureStore) -> None:
    shutil.rmtree(store.path / "runs" / "run" / "scores")
    assert [finding.place for finding in fs.verify(store)] == ["runs/run"]


def test_an_unfinished_feature_is_no_damage(store: FeatureStore) -> None:
    spec = store.feature("pixels").spec
    writer = store.writer("half", spec)
    writer.put(0, np.zeros((256, 64), np.float32))
    assert fs.verify(store) == []
