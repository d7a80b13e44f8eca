"""docs/format.md says all one needs, and every version reads what the first one wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorstore
import zarr
from digits_store import make_digits_store
from numpy.lib.npyio import NpzFile
from plain_digests import crc32c, digests
from plain_reader import PlainStore

import featstore as fs
from featstore.store import FeatureStore

DATA = Path(__file__).parent / "data"
FIXTURE = DATA / "format_1.zarr"
TORN = 7


@pytest.fixture(scope="module")
def expected() -> NpzFile:
    """Return what the fixture was made from; see tests/support/make_format_fixture.py."""
    return np.load(DATA / "format_1.npz")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store that this version has just written."""
    store = make_digits_store(tmp_path_factory.mktemp("format") / "d.zarr", val=200)
    fs.probe(store, "pca", value=0.1, n_boot=0, name="run")
    fs.draw_subsets(store, fs.SizeDraws((50,)))
    return store.path


# The store that was written when format 1 was fixed


def test_this_version_reads_format_1(expected: NpzFile) -> None:
    store = FeatureStore.open(FIXTURE)
    samples = store.samples
    np.testing.assert_array_equal(samples.ids, expected["ids"])
    np.testing.assert_array_equal(samples.splits, expected["splits"])
    np.testing.assert_array_equal(samples.marks, expected["marks"])
    for name, target in samples.targets.items():
        assert target.classes == tuple(expected[f"{name}_classes"])
        np.testing.assert_array_equal(target.codes, expected[f"{name}_codes"])
    assert store.features == ["pca", "pooled", "unfinished"]
    for name in ("pca", "pooled"):
        view = store.view(name)
        assert view.dtype == expected[name].dtype
        assert store.feature(name).excluded == {TORN: "image file is truncated"}
        np.testing.assert_array_equal(view.array(), np.delete(expected[name], TORN, axis=0))
        np.testing.assert_array_equal(view.ids, np.delete(expected["ids"], TORN))
    assert store.feature("unfinished").committed_rows == 256
    assert store.feature("pooled").request == {"source": "digits", "transform": "own"}
    run = store.run("fused")
    np.testing.assert_array_equal(run.predictions.ids, expected["run_ids"])
    np.testing.assert_array_equal(run.predictions.truth, expected["run_truth"])
    np.testing.assert_array_equal(run.predictions.scores, expected["run_scores"])
    assert [run.accuracy] == expected["run_top1"]
    assert run.head is not None
    np.testing.assert_array_equal(run.head.coef, expected["head_coef"])
    np.testing.assert_array_equal(run.head.scaling.mean, expected["head_mean"])
    assert store.taxonomy("halves").classes("half") == ("low", "high")
    assert fs.verify(FIXTURE) == []


def test_a_reader_made_from_the_page_reads_format_1(expected: NpzFile) -> None:
    store = PlainStore(FIXTURE)
    assert store.ids() == expected["ids"].tolist()
    assert store.splits() == expected["splits"].tolist()
    np.testing.assert_array_equal(store.marks(), expected["marks"])
    targets = store.targets()
    assert [(name, kind) for name, (kind, _, _) in targets.items()] == [
        ("digit", "single"),
        ("tags", "multi"),
    ]
    for name, (_, classes, codes) in targets.items():
        assert classes == expected[f"{name}_classes"].tolist()
        np.testing.assert_array_equal(codes, expected[f"{name}_codes"])
    for name in ("pca", "pooled"):
        np.testing.assert_array_equal(store.feature(name), expected[name])
        for i in (0, 31, 32, 127, 128, 299):
            np.testing.assert_array_equal(store.row(name, i), expected[name][i])
        assert store.excluded(name) == {TORN: "image file is truncated"}
    assert len(store.feature("unfinished")) == 0
    fields, ids, columns = store.run("fused")
    assert fields["config"]["features"] == ["pooled", "pca"]
    assert ids == expected["run_ids"].tolist()
    for name in ("truth", "scores"):
        np.testing.assert_array_equal(columns[name], expected[f"run_{name}"])
    np.testing.assert_array_equal(columns["head_coef"], expected["head_coef"])
    assert store.taxonomy("halves")["levels"] == ["digit", "half"]


@pytest.mark.parametrize("name", ["pca", "pooled"])
def test_other_zarr_readers_read_format_1(expected: NpzFile, name: str) -> None:
    folder = FIXTURE / "features" / name
    np.testing.assert_array_equal(zarr.open_array(folder, mode="r")[:], expected[name])
    driver = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(folder)}}
    found = tensorstore.open(driver).result().read().result()
    np.testing.assert_array_equal(found, expected[name])


# What this version writes


def test_the_page_describes_what_is_written(fresh: Path) -> None:
    store, ours = PlainStore(fresh), FeatureStore.open(fresh)
    assert store.ids() == ours.samples.ids.tolist()
    assert store.splits() == ours.samples.splits.tolist()
    assert store.marks() is None
    for name, (kind, classes, codes) in store.targets().items():
        target = ours.samples.targets[name]
        assert (kind, tuple(classes)) == (target.kind, target.classes)
        np.testing.assert_array_equal(codes, target.codes)
    for name in ours.features:
        np.testing.assert_array_equal(store.feature(name), ours.view(name).array())
        np.testing.assert_array_equal(store.row(name, 1796), ours.view(name).array()[1796])
    said, rows = store.subset("50")
    np.testing.assert_array_equal(rows, ours.subset("50").rows)
    assert said["digest"] == ours.subset("50").digest
    fields, ids, columns = store.run("run")
    run = ours.run("run")
    assert ids == run.predictions.ids.tolist()
    assert fields["metrics"][0]["value"] == run.accuracy
    # Without a bootstrap there is no interval; JSON says null where pandas says NaN.
    assert fields["metrics"][0]["low"] is None
    assert np.isnan(run.metrics["low"]).all()
    np.testing.assert_array_equal(columns["scores"], run.predictions.scores)


@pytest.mark.parametrize("which", ["fixture", "fresh"])
def test_every_digest_follows_its_recipe(fresh: Path, which: str) -> None:
    store = PlainStore(FIXTURE if which == "fixture" else fresh)
    wrong = [what for what, said, found in digests(store) if said != found]
    assert wrong == []


def test_the_checksum_is_castagnolis() -> None:
    # RFC 3720, B.4
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_samples_of_several_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are cut as large ones are; the last chunk is padded."""
    monkeypatch.setattr("featstore.columns._CHUNK_ROWS", 100)
    ours = make_digits_store(tmp_path / "d.zarr")
    store = PlainStore(ours.path)
    assert (ours.path / "samples" / "targets" / "tags" / "c" / "17" / "0").exists()
    assert store.ids() == ours.samples.ids.tolist()
    np.testing.assert_array_equal(store.targets()["tags"][2], ours.samples.targets["tags"].codes)
    assert FeatureStore.open(ours.path).samples.differences(ours.samples) == []
    assert all(said == found for _, said, found in digests(store))
    assert fs.verify(ours) == []
