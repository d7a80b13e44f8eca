"""import_features: matching by id, refusals with counts, identity, precision, resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from digits_store import digits
from small_store import fill, make_samples

import featstore as fs
from featstore.errors import InvalidInputError, NotSealedError, SpecMismatchError
from featstore.holdout import HoldOut
from featstore.importation import import_features
from featstore.imports import ForeignFeatures, aligned
from featstore.imports.values import MappedValues
from featstore.shards import ShardLayout
from featstore.store import FeatureStore
from featstore.verification import verify

N, DIM = 1200, 16


@pytest.fixture(name="X")
def features() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((N, DIM)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore.create(tmp_path / "s.zarr", make_samples(N))


@pytest.fixture
def ids(store: FeatureStore) -> np.ndarray:
    return store.samples.ids


def write(path: Path, X: np.ndarray, ids: np.ndarray) -> Path:
    """Write features with ids in the format of the suffix."""
    if path.suffix == ".npz":
        np.savez(path, features=X, ids=ids)
    elif path.suffix == ".parquet":
        table = pa.table({"id": ids.tolist(), "embedding": list(X)})
        pq.write_table(table, path, row_group_size=500)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["features"], file["ids"] = X, ids.astype(object)
    else:
        torch.save({"features": torch.from_numpy(X), "ids": ids.tolist()}, path)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".h5", ".pt"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_rows_come_into_the_order_of_the_store(
    tmp_path: Path,
    store: FeatureStore,
    X,
    ids,
    suffix: str,
    shuffled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aligned, "_BLOCK_BYTES", 8 * DIM * 100)
    order = np.random.default_rng(0).permutation(N) if shuffled else np.arange(N)
    path = write(tmp_path / f"clip{suffix}", X[order], ids[order])
    result = import_features(path, tmp_path / "s.zarr", name="clip", backbone="ViT-B/32")
    np.testing.assert_array_equal(store.view("clip").array(), X)
    spec = store.feature("clip").spec
    assert (spec.transform, spec.numerics, spec.dtype) == (None, None, "float32")
    assert (spec.backbone.source, spec.backbone.architecture) == (
        f"import:clip{suffix}",
        "ViT-B/32",
    )
    assert (result.rows, result.computed, result.created, result.notes) == (N, True, False, ())
    assert verify(store) == []


def test_the_same_content_is_the_same_feature_in_any_format(
    tmp_path: Path, store: FeatureStore, X, ids
) -> None:
    order = np.random.default_rng(0).permutation(N)
    import_features(write(tmp_path / "a.npz", X, ids), tmp_path / "s.zarr", name="clip")
    other = write(tmp_path / "b.parquet", X[order], ids[order])
    again = import_features(other, tmp_path / "s.zarr", name="clip")
    assert not again.computed
    changed = X.copy()
    changed[5, 5] += 1
    with pytest.raises(SpecMismatchError, match=r"backbone\.weights_digest"):
        import_features(write(tmp_path / "a.npz", changed, ids), tmp_path / "s.zarr", name="clip")


def test_missing_samples(tmp_path: Path, store: FeatureStore, X, ids) -> None:
    keep = np.delete(np.arange(N), [2, 7, 1100, 1101])
    path = write(tmp_path / "a.npz", X[keep], ids[keep])
    with pytest.raises(
        InvalidInputError,
        match=r"4 of the store's 1200 samples are not in the file, e.g. 'ü/000002.jpg', "
        r"'ü/000007.jpg', 'ü/001100.jpg' \(--allow-missing",
    ):
        import_features(path, tmp_path / "s.zarr", name="a")
    result = import_features(path, tmp_path / "s.zarr", name="a", allow_missing=True)
    assert (result.rows, result.missing) == (N - 4, 4)
    assert store.feature("a").excluded[2] == "not in a.npz"
    np.testing.assert_array_equal(store.view("a").array(), X[keep])
    np.testing.assert_array_equal(store.view("a").rows, keep)
    assert not import_features(path, tmp_path / "s.zarr", name="a", allow_missing=True).computed


def test_unmatched_ids(tmp_path: Path, store: FeatureStore, X, ids) -> None:
    names = np.concatenate([ids, ["new 1", "new 2"]])
    path = write(tmp_path / "a.h5", np.concatenate([X, X[:2]]), names)
    with pytest.raises(
        InvalidInputError,
        match=r"2 of its 1202 ids are not in the store, e.g. 'new 1', 'new 2' \(--allow-unmatched",
    ):
        import_features(path, tmp_path / "s.zarr", name="a", allow_missing=True)
    result = import_features(path, tmp_path / "s.zarr", name="a", allow_unmatched=True)
    assert result.unmatched == 2
    np.testing.assert_array_equal(store.view("a").array(), X)


def test_a_leading_folder_is_found_and_taken_off(
    tmp_path: Path, store: FeatureStore, X, ids
) -> None:
    names = np.asarray([f"/data/birds/{name}" for name in ids])
    path = write(tmp_path / "a.npz", X, names)
    with pytest.raises(InvalidInputError, match="--root /data/birds"):
        import_features(path, tmp_path / "s.zarr", name="a")
    import_features(path, tmp_path / "s.zarr", name="a", root="/data/birds/")
    np.testing.assert_array_equal(store.view("a").array(), X)
    with pytest.raises(InvalidInputError, match="1200 of 1200 ids do not begin with /other/"):
        import_features(path, tmp_path / "s.zarr", name="b", root="/other")


def test_not_one_id_in_common(tmp_path: Path, store: FeatureStore, X) -> None:
    path = write(tmp_path / "a.npz", X, np.arange(N).astype(str))
    with pytest.raises(InvalidInputError, match="not one id is in both"):
        import_features(
            path, tmp_path / "s.zarr", name="a", allow_missing=True, allow_unmatched=True
        )


def test_repeated_ids(tmp_path: Path, store: FeatureStore, X, ids) -> None:
    names, values = np.concatenate([ids, ids[:3]]), np.concatenate([X, X[:3]])
    path = write(tmp_path / "a.npz", values, names)
    message = "3 rows repeat an id that came before, e.g. 'ü/000000.jpg', 'ü/000001.jpg'"
    with pytest.raises(InvalidInputError, match=message):
        import_features(path, tmp_path / "s.zarr", name="a")
    result = import_features(path, tmp_path / "s.zarr", name="a", duplicates="identical")
    assert (result.duplicates, result.unmatched) == (3, 0)
    values[-1, 0] += 1
    path = write(tmp_path / "a.npz", values, names)
    with pytest.raises(InvalidInputError, match=r"1 rows repeat an id with other values.*000002"):
        import_features(path, tmp_path / "s.zarr", name="a", duplicates="identical")
    # The first of each is what was imported before.
    again = import_features(path, tmp_path / "s.zarr", name="a", duplicates="first")
    assert not again.computed
    new = import_features(path, tmp_path / "new.zarr", name="a", duplicates="first")
    assert new.store.n_samples == N
    with pytest.raises(InvalidInputError, match="not one of error, identical, first"):
        import_features(path, tmp_path / "s.zarr", name="a", duplicates="last")  # type: ignore[arg-type]


def test_values_that_are_not_finite(tmp_path: Path, store: FeatureStore, X, ids) -> None:
    X[3, 2], X[900, 0] = np.nan, -np.inf
    path = write(tmp_path / "a.pt", X, ids)
    with pytest.raises(
        InvalidInputError, match=r"2 of 1200 rows hold NaN or Inf, e.g. 'ü/000003.jpg', 'ü/000900"
    ):
        import_features(path, tmp_path / "s.zarr", name="a")
    assert store.features == []
    result = import_features(path, tmp_path / "s.zarr", name="a", allow_not_finite=True)
    assert result.not_finite == 2
    np.testing.assert_array_equal(store.view("a").array(), np.delete(X, [3, 900], axis=0))


@pytest.mark.parametrize(
    ("given", "asked", "stored", "note"),
    [
        ("float16", None, "float16", None),
        ("float16", "float32", "float32", None),
        ("float32", None, "float32", None),
        ("float32", "float16", "float16", "float32 values were rounded to float16; --dtype"),
        ("float64", None, "float32", "float64 values were rounded to float32"),
    ],
)
def test_precision(
    tmp_path: Path, store: FeatureStore, X, ids, given: str, asked: Any, stored: str, note: Any
) -> None:
    values = np.random.default_rng(0).standard_normal((N, DIM)).astype(given)
    path = write(tmp_path / "a.npz", values, ids)
    result = import_features(path, tmp_path / "s.zarr", name="a", dtype=asked)
    assert result.dtype == store.view("a").dtype.name == stored
    np.testing.assert_array_equal(store.view("a").array(), values.astype(stored))
    assert [n.startswith(note) for n in result.notes] == ([True] if note else [])


def test_exact_values_are_not_called_rounded(tmp_path: Path, store, ids) -> None:
    whole = np.arange(N * DIM).reshape(N, DIM) % 512
    path = write(tmp_path / "a.npz", whole.astype(np.float64), ids)
    assert import_features(path, tmp_path / "s.zarr", name="a", dtype="float16").notes == ()


def test_overflow_is_refused_before_anything_is_written(tmp_path: Path, store, X, ids) -> None:
    X[4] *= 1e6
    path = write(tmp_path / "a.npz", X, ids)
    with pytest.raises(InvalidInputError, match=r"1 of 1200 rows.*float16 cannot hold.*float32"):
        import_features(path, tmp_path / "s.zarr", name="a", dtype="float16")
    with pytest.raises(InvalidInputError, match="1 of 1200 rows"):
        import_features(path, tmp_path / "new.zarr", name="a", dtype="float16")
    assert store.features == []
    assert not (tmp_path / "new.zarr").exists()


def test_without_ids_the_position_must_be_asked_for(tmp_path: Path, store, X) -> None:
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(InvalidInputError, match=r"a\.npy has no ids.*--by-position"):
        import_features(tmp_path / "a.npy", tmp_path / "s.zarr", name="a")
    import_features(tmp_path / "a.npy", tmp_path / "s.zarr", name="a", by_position=True)
    np.testing.assert_array_equal(store.view("a").array(), X)
    # The very same again is no question of order any more.
    assert not import_features(tmp_path / "a.npy", tmp_path / "s.zarr", name="a").computed
    np.save(tmp_path / "b.npy", X[:-1])
    with pytest.raises(InvalidInputError, match=r"1199 rows and .*s\.zarr 1200 samples"):
        import_features(tmp_path / "b.npy", tmp_path / "s.zarr", name="b", by_position=True)


def test_a_wrong_position_is_noticed_by_ids_and_labels(tmp_path: Path, store, X, ids) -> None:
    path = write(tmp_path / "a.npz", X[::-1], ids[::-1])
    with pytest.raises(InvalidInputError, match="in another order; leave --by-position out"):
        import_features(path, tmp_path / "s.zarr", name="a", by_position=True)
    target = store.samples.targets["label"]
    names = [target.classes[code] for code in target.codes]
    right = ForeignFeatures.from_array(X, labels={"label": names})
    wrong = ForeignFeatures.from_array(X, labels={"label": [*names[1:], names[0]]})
    with pytest.raises(InvalidInputError, match=r"other labels 'label' .* in 1200 of 1200 rows"):
        import_features(wrong, tmp_path / "s.zarr", name="a", by_position=True)
    assert import_features(right, tmp_path / "s.zarr", name="a", by_position=True).computed


def test_a_new_store_from_a_file(tmp_path: Path, X, ids) -> None:
    labels = np.array(["ant", "bee"] * (N // 2))
    np.savez(tmp_path / "a.npz", features=X, ids=ids, species=labels)
    result = import_features(
        tmp_path / "a.npz", tmp_path / "n.zarr", name="a", labels="species", hold_out=HoldOut(0.25)
    )
    samples = result.store.samples
    assert result.created
    assert samples.ids.tolist() == ids.tolist()
    assert samples.targets["species"].classes == ("ant", "bee")
    assert (samples.splits == "test").mean() == pytest.approx(0.25)
    assert result.store.attributes["source"]["files"] == "a.npz"
    assert any("hold-out of 0.25" in note for note in result.notes)
    again = import_features(tmp_path / "a.npz", tmp_path / "n.zarr", name="a", labels="species")
    assert (again.created, again.computed) == (False, False)


def test_a_new_store_from_a_file_for_each_split(tmp_path: Path, X) -> None:
    y = np.arange(N) % 5
    files = {"train": slice(0, 900), "test": slice(900, N)}
    for split, rows in files.items():
        np.savez(tmp_path / f"{split}.npz", X=X[rows], y=y[rows])
    sources = {split: tmp_path / f"{split}.npz" for split in files}
    result = import_features(sources, tmp_path / "n.zarr", name="a")
    samples = result.store.samples
    assert samples.ids[[0, 899, 900]].tolist() == ["train/0", "train/899", "test/0"]
    assert samples.split_names == ("train", "test")
    np.testing.assert_array_equal(samples.targets["y"].codes, y)
    np.testing.assert_array_equal(result.store.view("a", split="test").array(), X[900:])
    assert any("'train/0' and so on" in note for note in result.notes)
    assert not import_features(sources, tmp_path / "n.zarr", name="a").computed
    with pytest.raises(InvalidInputError, match=r"has no ids, and .*n\.zarr exists"):
        import_features(sources, tmp_path / "n.zarr", name="b")


def test_files_with_and_without_ids_do_not_mix(tmp_path: Path, X, ids) -> None:
    np.savez(tmp_path / "a.npz", X=X[:10], ids=ids[:10])
    np.savez(tmp_path / "b.npz", X=X[10:])
    with pytest.raises(InvalidInputError, match=r"b\.npz has no ids and the other files have"):
        import_features([tmp_path / "a.npz", tmp_path / "b.npz"], tmp_path / "n.zarr", name="a")


def test_columns_in_files_of_their_own(tmp_path: Path, X, ids) -> None:
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "ids.txt").write_text("\n".join(ids), encoding="utf-8")
    rows = [f"{i},{'train' if i % 2 else 'test'},{i % 3}" for i in range(N)]
    (tmp_path / "t.csv").write_text("\n".join(["row,part,order", *rows]))
    result = import_features(
        tmp_path / "X.npy",
        tmp_path / "n.zarr",
        name="a",
        ids=str(tmp_path / "ids.txt"),
        split=f"{tmp_path / 't.csv'}#part",
        labels=[f"{tmp_path / 't.csv'}#order", f"taxon={tmp_path / 't.csv'}#order"],
    )
    samples = result.store.samples
    assert samples.ids.tolist() == ids.tolist()
    assert samples.splits[:2].tolist() == ["test", "train"]
    assert list(samples.targets) == ["order", "taxon"]
    (tmp_path / "ids.txt").write_text("a\nb")
    with pytest.raises(InvalidInputError, match=r"X\.npy: 2 ids for 1200 rows"):
        import_features(
            tmp_path / "X.npy", tmp_path / "m.zarr", name="a", ids=str(tmp_path / "ids.txt")
        )


def test_new_labels_do_not_reach_an_existing_store(tmp_path: Path, store, X, ids) -> None:
    made = ForeignFeatures.from_array(X, ids=ids, labels={"genus": ["a", "b"] * (N // 2)})
    result = import_features(made, tmp_path / "s.zarr", name="a")
    assert "labels genus are not added" in result.notes[0]
    assert "genus" not in store.samples.targets


def test_an_interrupted_import_goes_on(tmp_path: Path, store, X, ids, monkeypatch) -> None:
    path = write(tmp_path / "a.npz", X, ids)
    encode, calls = ShardLayout.encode, []

    def fail_at_the_third(*arguments: Any) -> Any:
        calls.append(arguments[1])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(ShardLayout, "encode", fail_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        import_features(path, tmp_path / "s.zarr", name="a")
    monkeypatch.setattr(ShardLayout, "encode", encode)
    info = store.feature("a")
    assert not info.sealed
    assert 0 < info.committed_rows < N
    with pytest.raises(NotSealedError, match="run the same `featstore import` again"):
        store.view("a")
    import_features(path, tmp_path / "s.zarr", name="a")
    fill(store, "b", X, dtype="float32")
    np.testing.assert_array_equal(store.view("a").array(), store.view("b").array())


def test_rows_are_read_shard_by_shard(tmp_path: Path, store, X, ids) -> None:
    class Watched(MappedValues):
        most = 0

        def take(self, rows: np.ndarray) -> np.ndarray:
            Watched.most = max(Watched.most, len(rows))
            return super().take(rows)

    made = ForeignFeatures(Watched(X), "array", "array", ids=ids)
    layout = ShardLayout.choose(N, DIM, "float32")
    assert layout.n_shards > 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aligned, "_BLOCK_BYTES", 8 * DIM * 64)
        import_features(made, tmp_path / "s.zarr", name="a")
    assert Watched.most == layout.shard_rows


@pytest.mark.parametrize("name", ["a/b", "", ".a"])
def test_bad_names_are_refused_first(tmp_path: Path, X, name: str) -> None:
    with pytest.raises(InvalidInputError, match="cannot be used as a name"):
        import_features(tmp_path / "none.npy", tmp_path / "n.zarr", name=name)


def test_imported_features_are_probed_and_reported(tmp_path: Path) -> None:
    X, y = digits()
    parts = {"train": slice(0, 1200), "test": slice(1200, None)}
    for split, rows in parts.items():
        torch.save(torch.from_numpy(X[rows]), tmp_path / f"features_{split}.pt")
        torch.save(torch.from_numpy(y[rows]), tmp_path / f"targets_{split}.pt")
    store = import_features(tmp_path, tmp_path / "d.zarr", name="pixels", backbone="scan").store
    run = fs.probe(store, "pixels", value=1.0)
    assert run.accuracy > 0.85
    page = fs.report(store, tmp_path / "d.html")
    assert "unknown (imported)" in Path(page).read_text(encoding="utf-8")
