"""Pooled sets: shares, ids and labels kept apart, the order, every form of export."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from digits_store import make_digits_store

import featstore as fs
from featstore.datasets import ImageFolder
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.store import FeatureStore

Stores = dict[str, FeatureStore]


@pytest.fixture(scope="module")
def stores(few_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """Return photos, their other half under the same class names, and digits without images."""
    root = tmp_path_factory.mktemp("pool")
    photos = ImageFolder.scan(few_photos)
    made = {
        name: FeatureStore.create(root / f"{name}.zarr", photos.samples, source=photos.source)
        for name in ("shop", "street")
    }
    return made | {"digits": make_digits_store(root / "digits.zarr")}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_shares_are_equal_and_those_of_each_store_alone(stores: Stores, tmp_path: Path) -> None:
    found = fs.pool(stores, total=50)
    assert {name: len(part) for name, part in found.parts.items()} == {
        "shop": 17,
        "street": 17,
        "digits": 16,
    }
    alone = fs.draw_subsets(stores["digits"], fs.SizeDraws((16, 100)), save=False)
    assert found.parts["digits"].digest == alone["16"].digest
    larger = fs.pool(stores, sizes=[20, 17, 100])
    assert set(found.parts["shop"].rows) < set(larger.parts["shop"].rows)
    n_train = len(stores["shop"].rows("train"))
    assert len(fs.pool(stores)) == 3 * n_train
    assert fs.export_pool(found, tmp_path / "p.csv") == 50


def test_ids_and_labels_say_where_they_are_from(stores: Stores, tmp_path: Path) -> None:
    found = fs.pool(stores, sizes=[20, 20, 30])
    fs.export_pool(found, tmp_path / "p.csv")
    listed = rows(tmp_path / "p.csv")
    ids = [row["id"] for row in listed]
    assert len(set(ids)) == 70
    for row in listed:
        name, _, identity = row["id"].partition("/")
        store = stores[name]
        (place,) = np.flatnonzero(store.samples.ids == identity)
        target = store.target()[1]
        assert row["label"] == f"{name}:{target.classes[target.codes[place]]}"
        if name != "digits":
            assert Path(row["path"]).is_file()
            assert row["path"].endswith(identity)
    # Shuffled: the stores are mixed from the beginning on.
    assert {identity.split("/")[0] for identity in ids[:25]} == set(stores)
    fs.export_pool(fs.pool(stores, sizes=[20, 20, 30]), tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "p.csv").read_bytes()
    other = fs.pool(stores, sizes=[20, 20, 30], seed=1)
    assert other.digest != found.digest


def test_stored_subsets_are_pooled_whole(stores: Stores, tmp_path: Path) -> None:
    two = {name: stores[name] for name in ("shop", "digits")}
    for store in two.values():
        fs.draw_subsets(store, fs.SizeDraws((12,)), prefix="small-")
    found = fs.pool(two, subset="small-12")
    assert {name: len(part) for name, part in found.parts.items()} == {"shop": 12, "digits": 12}
    with pytest.raises(FeatureNotFoundError, match="no subset 'other'"):
        fs.pool(two, subset="other")


def test_folders_of_links_and_tar_files_keep_classes_apart(stores: Stores, tmp_path: Path) -> None:
    found = fs.pool({name: stores[name] for name in ("shop", "street")}, total=30)
    fs.export_pool(found, tmp_path / "links")
    linked = ImageFolder.scan(tmp_path / "links", hold_out=None)
    assert len(linked.samples) == 30
    classes = linked.samples.targets["label"].classes
    assert {name.split(":")[0] for name in classes} == {"shop", "street"}
    (tmp_path / "tars").mkdir()
    fs.export_pool(found, tmp_path / "tars" / "p-%06d.tar")
    index = json.loads((tmp_path / "tars" / "index.json").read_text())
    assert sum(shard["nsamples"] for shard in index["shardlist"]) == 30
    with tarfile.open(tmp_path / "tars" / "p-000000.tar") as shard:
        members = {member.name: member for member in shard.getmembers()}
        said = json.load(shard.extractfile(members["000000000.json"]))  # type: ignore[arg-type]
        code = int(shard.extractfile(members["000000000.cls"]).read())  # type: ignore[union-attr]
    known = [f"{name}:{c}" for name in found.stores for c in stores[name].target()[1].classes]
    assert known[code] == said["label"]


def test_several_labels_need_json_lines(stores: Stores, tmp_path: Path) -> None:
    two = {"one": stores["digits"], "two": stores["digits"]}
    found = fs.pool(two, total=20)
    with pytest.raises(InvalidInputError, match="several labels"):
        fs.export_pool(found, tmp_path / "p.csv", target="tags")
    fs.export_pool(found, tmp_path / "p.jsonl", target="tags")
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert {label.split(":")[0] for line in lines for label in line["labels"]} == {"one", "two"}


def test_what_makes_no_sense_is_refused(stores: Stores) -> None:
    with pytest.raises(InvalidInputError, match="two or more"):
        fs.pool({"digits": stores["digits"]})
    with pytest.raises(InvalidInputError, match="total and sizes contradict"):
        fs.pool(stores, total=3, sizes=[1, 1, 1])
    with pytest.raises(InvalidInputError, match="2 sizes for 3 stores"):
        fs.pool(stores, sizes=[1, 1])
    with pytest.raises(InvalidInputError, match="cannot be drawn from shop"):
        fs.pool(stores, total=3000)
