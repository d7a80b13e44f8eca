"""verify and repair on object storage."""

from __future__ import annotations

import numpy as np
from small_store import fill, make_samples

import featstore as fs
from featstore.store import FeatureStore


def flip(store: FeatureStore, name: str) -> None:
    content = bytearray(store.folder.read(name))
    content[len(content) // 2] ^= 1
    store.folder.write(name, [content])


def test_a_store_in_a_bucket_is_verified_and_repaired(bucket: str) -> None:
    X = np.random.default_rng(0).standard_normal((600, 8)).astype(np.float32)
    store = FeatureStore.create(f"{bucket}/s.zarr", make_samples(600))
    fill(store, "x", X)
    assert fs.verify(f"{bucket}/s.zarr") == []
    damaged = ["samples/marks/c/0", "features/x/c/1/0"]
    for name in damaged:
        flip(store, name)
    store.folder.delete("features/x/c/0/0")
    found = fs.verify(store)
    assert [finding.place for finding in found] == [
        "samples/marks/c/0",
        "features/x/c/0/0",
        "features/x/c/1/0",
    ]
    done = fs.repair(store, found)
    assert done[0].action == "moved to features/x/_quarantine/1.0"
    flip(store, "samples/marks/c/0")
    fill(FeatureStore.open(f"{bucket}/s.zarr"), "x", X)
    view = FeatureStore.open(f"{bucket}/s.zarr").view("x")
    np.testing.assert_array_equal(view.array(), X.astype(np.float16))
    (left,) = fs.verify(store)
    assert (left.place, left.severity) == ("features/x/_quarantine/1.0", "leftover")


def test_what_an_interrupted_removal_leaves_is_no_damage(bucket: str) -> None:
    store = FeatureStore.create(f"{bucket}/s.zarr", make_samples(300))
    fill(store, "x", np.zeros((300, 8), np.float32))
    store.folder.delete("features/x/zarr.json")
    found = fs.verify(store)
    assert {finding.severity for finding in found} == {"leftover"}
    assert "features/x/manifest.json" in {finding.place for finding in found}
