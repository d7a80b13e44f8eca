"""export: what other tools read, and that an import gives everything back."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from small_store import fill, make_samples

from featstore import new_file
from featstore.errors import InvalidInputError, StorageError
from featstore.exports import EXPORTS, export, sheet
from featstore.importation import import_features
from featstore.samples import Samples, Target
from featstore.store import FeatureStore
from featstore.strings import unpack

N = 600
#: Formats that `import_features` reads.
BACK = [suffix for suffix in EXPORTS if suffix != ".csv"]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Return a store with unlabelled samples, a class without rows, and an excluded row."""
    made = make_samples(N)
    label = made.targets["label"]
    codes = label.codes.copy()
    codes[::7] = -1
    targets = {
        "label": Target(
            "single", ("zebra", "ant", *label.classes), np.where(codes < 0, -1, codes + 2)
        ),
        "tags": made.targets["tags"],
        # Names that formats use themselves.
        "split": Target.from_labels(["x", "y"] * (N // 2)),
    }
    splits = np.where(np.arange(N) % 10 == 0, "", made.splits)
    store = FeatureStore.create(tmp_path / "s.zarr", Samples(made.ids, splits, targets))
    X = np.random.default_rng(0).standard_normal((N, 24)).astype(np.float32)
    fill(store, "half", X)
    fill(store, "single", X[:, :5], dtype="float32")
    return store


@pytest.mark.parametrize("suffix", BACK)
@pytest.mark.parametrize("features", [["half"], ["single"], ["single", "half"]])
def test_an_import_gives_back_every_bit_and_label(
    tmp_path: Path, store: FeatureStore, suffix: str, features: list[str]
) -> None:
    made = export(store, features, tmp_path / f"out{suffix}")
    assert made.nbytes == sum(file.stat().st_size for file in made.files)
    again = import_features(made.files[0], tmp_path / "again.zarr", name="x")
    expected = store.view(features)
    found = again.store.view("x")
    assert found.dtype == expected.dtype == made.dtype
    assert found.array().tobytes() == expected.array().tobytes()
    assert again.store.samples.differences(store.samples) == []
    assert again.store.samples.labels_digest == store.samples.labels_digest
    assert again.notes == ()


@pytest.mark.parametrize("suffix", BACK)
def test_one_split(tmp_path: Path, store: FeatureStore, suffix: str, monkeypatch) -> None:
    # Several batches, the last one short.
    blocks = sheet.Sheet.blocks
    monkeypatch.setattr(
        sheet.Sheet,
        "blocks",
        lambda self: (part for b in blocks(self) for part in np.array_split(b, 7)),
    )
    made = export(store, "half", tmp_path / f"out{suffix}", split="test")
    again = import_features(made.files[0], tmp_path / "again.zarr", name="x").store
    view = store.view("half", split="test")
    assert again.view("x").array().tobytes() == view.array().tobytes()
    assert again.samples.ids.tolist() == view.ids.tolist()
    assert again.samples.split_names == ("test",)
    assert again.samples.targets["label"].classes == store.samples.targets["label"].classes


def test_csv_has_every_bit_and_the_names_of_labels(tmp_path: Path, store: FeatureStore) -> None:
    made = export(store, ["single", "half"], tmp_path / "out.csv", split="test")
    frame = pd.read_csv(made.files[0], keep_default_na=False)
    view, label = store.view(["single", "half"], split="test"), store.samples.targets["label"]
    assert list(frame)[:6] == ["id", "split", "label", "tags", "target_split", "single.0"]
    assert list(frame)[-1] == "half.23"
    assert frame["id"].tolist() == view.ids.tolist()
    assert frame["label"].tolist() == [label.name_of(row) or "" for row in view.rows]
    tags = store.samples.targets["tags"]
    assert frame["tags"].tolist() == [tags.name_of(row).replace(", ", ";") for row in view.rows]
    for name, dtype in (("single", np.float32), ("half", np.float16)):
        columns = [column for column in frame if column.startswith(f"{name}.")]
        block = store.view(name, rows=view.rows).array()
        assert frame[columns].to_numpy().astype(dtype).tobytes() == block.tobytes()


def test_stock_libraries_read_the_files(tmp_path: Path, store: FeatureStore) -> None:
    values, samples = store.view("half").array(), store.samples
    out = {suffix: export(store, "half", tmp_path / f"o{suffix}").files for suffix in EXPORTS}
    spec = store.feature("half").spec.to_json()

    np.testing.assert_array_equal(np.load(out[".npy"][0]), values)
    assert out[".npy"][1].read_text(encoding="utf-8").split("\n")[:-1] == samples.ids.tolist()
    described = json.loads(out[".npy"][2].read_bytes())["featstore"]
    assert described["features"] == [{"name": "half", "spec": spec}]

    with np.load(out[".npz"][0]) as archive:
        np.testing.assert_array_equal(archive["features"], values)
        assert archive["ids"].tolist() == samples.ids.tolist()
        names = archive["classes.label"][archive["target.label"]][1:3]
        assert names.tolist() == ["class 1", "class 2"]

    tensors = safetensors.numpy.load_file(out[".safetensors"][0])
    np.testing.assert_array_equal(tensors["features"], values)
    assert (unpack(tensors["ids"], tensors["id_offsets"]) == samples.ids).all()

    for table in (
        pq.read_table(out[".parquet"][0]),
        pa.ipc.open_file(str(out[".arrow"][0])).read_all(),
    ):
        assert table.schema.field("embedding").type == pa.list_(pa.float16(), 24)
        frame = table.to_pandas()
        np.testing.assert_array_equal(np.stack(frame["embedding"]), values)
        assert frame["id"].tolist() == samples.ids.tolist()
        assert frame["label"].isna()[::7].all()
        assert list(frame["tags"][2]) == ["b", "ä"]
        assert set(frame["target_split"]) == {"x", "y"}
        assert json.loads(table.schema.metadata[b"featstore"])["store"] == store.location

    annotated = anndata.read_h5ad(out[".h5ad"][0])
    np.testing.assert_array_equal(annotated.X, values)
    assert annotated.obs_names.tolist() == samples.ids.tolist()
    assert annotated.obs["label"].cat.categories.tolist() == [*samples.targets["label"].classes]
    assert pd.isna(annotated.obs["label"].iloc[0])
    assert annotated.var_names[:2].tolist() == ["half_0", "half_1"]
    np.testing.assert_array_equal(annotated.obsm["tags"], samples.targets["tags"].codes)


def test_what_is_not_exported(tmp_path: Path, store: FeatureStore) -> None:
    (tmp_path / "there.npy").write_bytes(b"mine")
    for out, message in {
        "a.xls": r"the suffix says the format.*\.npz",
        "there.npy": "exists; replace it with --overwrite",
        "no/a.npy": "there is no folder",
    }.items():
        with pytest.raises(InvalidInputError, match=message):
            export(store, "half", tmp_path / out)
    with pytest.raises(InvalidInputError, match="no such rows"):
        export(store, "half", tmp_path / "a.npy", rows=np.array([], np.intp))
    assert (tmp_path / "there.npy").read_bytes() == b"mine"
    export(store, "half", tmp_path / "there.npy", overwrite=True)
    assert np.load(tmp_path / "there.npy").shape == (N, 24)


def test_ids_with_line_breaks(tmp_path: Path) -> None:
    samples = Samples(np.array(["a\nb", "c"]), np.array(["", ""]))
    store = FeatureStore.create(tmp_path / "l.zarr", samples)
    fill(store, "x", np.ones((2, 3), np.float32))
    with pytest.raises(InvalidInputError, match=r"line break.*'a\\nb'; export to \.npz"):
        export(store, "x", tmp_path / "a.npy")
    export(store, "x", tmp_path / "a.npz")
    again = import_features(tmp_path / "a.npz", tmp_path / "m.zarr", name="x")
    assert again.store.samples.ids.tolist() == ["a\nb", "c"]


@pytest.mark.parametrize("suffix", EXPORTS)
def test_an_export_that_fails_leaves_the_old_file(
    tmp_path: Path, store: FeatureStore, suffix: str, monkeypatch
) -> None:
    path = export(store, "half", tmp_path / f"o{suffix}").files[0]
    before = path.read_bytes()
    blocks = sheet.Sheet.blocks

    def full_disk(self: sheet.Sheet):
        yield next(blocks(self))[:100]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sheet.Sheet, "blocks", full_disk)
    with pytest.raises(StorageError, match="the disk is full"):
        export(store, "single", path, overwrite=True)
    assert path.read_bytes() == before
    assert not [file for file in tmp_path.iterdir() if "partial" in file.name]


def test_new_files_are_complete_or_absent(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_file.new_file(tmp_path / "a.bin") as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
