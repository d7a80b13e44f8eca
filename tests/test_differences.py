"""diff: equal where everything is equal, and otherwise it says what is not."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_run import make_run
from small_store import fill, make_samples, make_spec, part

import featstore as fs
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.feature_difference import FeatureDifference
from featstore.store import FeatureStore
from featstore.taxonomy import Taxonomy

ROWS, DIM = 600, 8
X = np.random.default_rng(2).standard_normal((ROWS, DIM)).astype(np.float32)


def make_store(
    path: Path, values: NDArray[np.float32] = X, *, dtype: str = "float32", weights: str = "0"
) -> FeatureStore:
    store = FeatureStore.create(path, make_samples(len(values)))
    fill(store, "x", values, dtype=dtype, weights=weights)
    return store


@pytest.fixture
def a(tmp_path: Path) -> FeatureStore:
    return make_store(tmp_path / "a.zarr")


def only_feature(difference: fs.StoreDifference) -> FeatureDifference:
    (feature,) = difference.features
    return feature


def test_a_store_and_its_copy(a: FeatureStore, tmp_path: Path) -> None:
    a.save_run(make_run("r", seed=1))
    b = FeatureStore.open(shutil.copytree(a.path, tmp_path / "b.zarr"))
    difference = fs.diff(a, b)
    assert difference.equal
    feature = only_feature(difference)
    assert feature.by == "checksums"
    assert feature.values is not None
    assert (feature.values.rows, feature.values.differing) == (ROWS, 0)


@settings(max_examples=8, deadline=None)
@given(
    changed=st.sets(st.integers(0, ROWS - 1), max_size=15),
    order=st.permutations(range(ROWS)) | st.just(list(range(ROWS))),
)
def test_exactly_the_rows_that_changed(
    tmp_path_factory: pytest.TempPathFactory, changed: set[int], order: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("d")
    a = make_store(folder / "a.zarr")
    Y = X.copy()
    Y[sorted(changed), 3] += 0.5
    b = FeatureStore.create(folder / "b.zarr", part(a.samples, np.asarray(order)))
    fill(b, "x", Y[order], dtype="float32")
    values = only_feature(fs.diff(a, b)).values
    assert values is not None
    assert (values.rows, values.differing) == (ROWS, len(changed))
    assert [row.row_a for row in values.first] == sorted(changed)[:10]
    for row in values.first:
        assert row.id == a.samples.ids[row.row_a] == b.samples.ids[row.row_b]
    apart = np.abs(X.astype(float) - Y)
    assert values.absolute == apart.max()
    scale = np.maximum(np.abs(X), np.abs(Y)).max(axis=1)
    assert values.relative == pytest.approx((apart.max(axis=1) / scale).max())
    assert fs.diff(a, b, tolerance=1).features[0].values.differing == 0  # type: ignore[union-attr]


def test_only_chunks_with_other_checksums_are_read(
    a: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Y = X.copy()
    Y[520] += 1
    b = make_store(tmp_path / "b.zarr", Y)
    seen: list[int] = []
    whole = FeatureStore.view

    def watched(store: FeatureStore, name: str, *, rows: NDArray[np.intp]) -> object:
        seen.extend(rows.tolist())
        return whole(store, name, rows=rows)

    monkeypatch.setattr(FeatureStore, "view", watched)
    values = only_feature(fs.diff(a, b)).values
    assert values is not None
    assert [row.row_a for row in values.first] == [520]
    assert values.rows == ROWS
    assert set(seen) == set(range(512, ROWS))


def test_the_sign_of_zero_does_not_count(tmp_path: Path) -> None:
    zeros = np.zeros((300, DIM), np.float32)
    a, b = make_store(tmp_path / "a.zarr", zeros), make_store(tmp_path / "b.zarr", -zeros)
    difference = fs.diff(a, b)
    assert only_feature(difference).by == "values"
    assert difference.equal


def test_rows_that_only_one_has(a: FeatureStore, tmp_path: Path) -> None:
    rows = np.arange(100, ROWS)
    b = FeatureStore.create(tmp_path / "b.zarr", part(a.samples, rows))
    fill(b, "x", X[rows], dtype="float32")
    difference = fs.diff(a, b)
    assert not difference.equal
    assert difference.samples == ("100 missing (e.g. ü/000000.jpg)",)
    feature = only_feature(difference)
    assert feature.equal
    assert feature.values is not None
    assert feature.values.rows == 500


def test_no_common_sample(a: FeatureStore, tmp_path: Path) -> None:
    ids = np.asarray([f"other/{i}" for i in range(ROWS)])
    b = FeatureStore.create(tmp_path / "b.zarr", dataclasses.replace(a.samples, ids=ids))
    fill(b, "x", X, dtype="float32")
    feature = only_feature(fs.diff(a, b))
    assert feature.problems == ("no sample in common",)
    assert feature.values is None
    assert not feature.equal


def test_specs(a: FeatureStore, tmp_path: Path) -> None:
    b = make_store(tmp_path / "b.zarr", dtype="float16", weights="1")
    feature = only_feature(fs.diff(a, b))
    assert feature.spec == (
        f"backbone.weights_digest: {'0' * 64} | {'1' * 64}",
        "dtype: float32 | float16",
    )
    assert feature.values is not None
    assert 0 < feature.values.relative < 2**-10
    assert not feature.equal


def test_names_for_people_make_no_difference(a: FeatureStore, tmp_path: Path) -> None:
    b = FeatureStore.create(tmp_path / "b.zarr", a.samples)
    spec = make_spec(a.samples, dim=DIM, dtype="float32")
    backbone = dataclasses.replace(spec.backbone, source="another/name")
    writer = b.writer("x", dataclasses.replace(spec, backbone=backbone))
    for shard in writer.pending():
        rows = writer.layout.shard_range(shard)
        writer.put(shard, X[rows.start : rows.stop])
    writer.seal()
    assert fs.diff(a, b).equal


def test_two_features_of_one_store(a: FeatureStore) -> None:
    Y = X.copy()
    Y[7] *= 2
    fill(a, "y", Y, dtype="float32")
    fill(a, "short", X[:, :4], dtype="float32")
    feature = only_feature(fs.diff(a, feature="x", other="y"))
    assert feature.values is not None
    assert feature.values.differing == 1
    assert feature.values.first[0].relative == pytest.approx(0.5)
    short = only_feature(fs.diff(a, feature="x", other="short"))
    assert short.values is None
    assert short.spec == ("backbone.dim: 8 | 4",)
    assert fs.diff(a, feature="x", other="x").equal


def test_one_feature_under_another_name(a: FeatureStore, tmp_path: Path) -> None:
    b = make_store(tmp_path / "b.zarr")
    fill(b, "copy", X, dtype="float32")
    fill(a, "more", X)
    assert not fs.diff(a, b).equal
    assert fs.diff(a, b, feature="x", other="copy").equal
    assert fs.diff(a, b, feature="x").equal


def test_excluded_rows(a: FeatureStore, tmp_path: Path) -> None:
    stores = []
    for name, torn in (("b", {3: "torn", 4: "torn"}), ("c", {4: "other words", 5: "torn"})):
        store = FeatureStore.create(tmp_path / f"{name}.zarr", a.samples)
        writer = store.writer("x", make_spec(a.samples, dim=DIM, dtype="float32"))
        for shard in writer.pending():
            rows = writer.layout.shard_range(shard)
            writer.put(shard, X[rows.start : rows.stop], excluded={} if shard else torn)
        writer.seal()
        stores.append(store)
    feature = only_feature(fs.diff(*stores))
    assert feature.problems == (
        "1 rows excluded only in the first (e.g. ü/000003.jpg)",
        "1 rows excluded only in the second (e.g. ü/000005.jpg)",
    )
    assert feature.values is not None
    assert (feature.values.rows, feature.values.differing) == (ROWS - 3, 0)


def test_unfinished_features_cannot_be_compared(a: FeatureStore, tmp_path: Path) -> None:
    b = FeatureStore.create(tmp_path / "b.zarr", a.samples)
    b.writer("x", make_spec(a.samples, dim=DIM, dtype="float32")).put(0, X[:256])
    feature = only_feature(fs.diff(a, b))
    assert feature.problems == (f"unfinished in {b.location}: 256 of {ROWS} rows",)
    assert not feature.equal


def test_labels_splits_and_marks(a: FeatureStore, tmp_path: Path) -> None:
    splits = a.samples.splits.copy()
    splits[:9] = "test"
    b = FeatureStore.create(tmp_path / "b.zarr", a.samples.with_splits(splits))
    assert fs.diff(a, b).samples == ("9 in another split",)
    unmarked = dataclasses.replace(a.samples, marks=None)
    c = FeatureStore.create(tmp_path / "c.zarr", unmarked)
    assert fs.diff(a, c).samples == ("file sizes are known only in the first",)
    assert fs.diff(c, a).samples == ("file sizes are known only in the second",)


def test_runs_and_taxonomies(a: FeatureStore, tmp_path: Path) -> None:
    b = make_store(tmp_path / "b.zarr")
    for name in ("same", "other", "damaged"):
        a.save_run(make_run(name, seed=1))
    a.save_run(make_run("mine", seed=1))
    b.save_run(make_run("same", seed=1))
    b.save_run(make_run("damaged", seed=1))
    shutil.rmtree(b.path / "runs" / "damaged" / "scores")
    run = make_run("other", seed=1)
    b.save_run(
        dataclasses.replace(
            run,
            config=dataclasses.replace(run.config, value=2.0),
            metrics=run.metrics.assign(value=0.625),
        )
    )
    for store, genus in ((a, "g"), (b, "h")):
        frame = pd.DataFrame({"species": ["s", "t"], "genus": ["g", genus]})
        store.save_taxonomy("tree", Taxonomy.from_frame(frame))
    difference = fs.diff(a, b)
    assert difference.only_a == ("runs/mine",)
    assert difference.only_b == ()
    members = {member.place: member.lines for member in difference.members}
    assert members.pop("runs/damaged")[0].startswith(f"cannot be read in {b.location}: ")
    assert members == {
        "runs/other": ("value: 1.0 | 2.0", "top1: 0.5 | 0.625"),
        "taxonomies/tree": ("other classes, levels or parents",),
    }
    assert fs.diff(a, b, feature="x").equal


def test_what_to_compare_must_be_clear(a: FeatureStore) -> None:
    for arguments in ({}, {"feature": "x"}, {"other": "x"}):
        with pytest.raises(InvalidInputError, match="two stores to compare, or two features"):
            fs.diff(a, **arguments)
    with pytest.raises(InvalidInputError, match="two stores to compare"):
        fs.diff(a, a, other="x")
    with pytest.raises(FeatureNotFoundError, match="'z'"):
        fs.diff(a, a, feature="z")
    with pytest.raises(InvalidInputError, match="tolerance"):
        fs.diff(a, a, tolerance=-1)
