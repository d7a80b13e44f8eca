"""iNat21: the published JSON, and folders alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from featstore.datasets import inat21, open_dataset
from featstore.errors import InvalidInputError
from featstore.taxonomies import inat_folders

WORM = "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris"
FERN = "09999_Plantae_Tracheophyta_Polypodiopsida_Schizaeales_Lygodiaceae_Lygodium_japonicum"


def category(number: int, folder: str) -> dict[str, Any]:
    _, kingdom, phylum, order_class, order, family, genus, epithet = folder.split("_")
    return {
        "id": number,
        "name": f"{genus} {epithet}",
        "common_name": "x",
        "supercategory": "x",
        "kingdom": kingdom,
        "phylum": phylum,
        "class": order_class,
        "order": order,
        "family": family,
        "genus": genus,
        "specific_epithet": epithet,
        "image_dir_name": folder,
    }


def document(split: str, folders: list[str]) -> dict[str, Any]:
    """Make JSON with the fields of the published one; images not in order of their ids."""
    images, annotations = [], []
    for number, (folder, name) in enumerate((f, n) for f in folders for n in ("a.jpg", "b.jpg")):
        images.append(
            {
                "id": 100 - number,
                "width": 500,
                "height": 375,
                "file_name": f"{split}/{folder}/{name}",
                "license": 0,
                "rights_holder": "x",
                "date": "2020-01-01 00:00:00+00:00",
                "latitude": None,
                "longitude": None,
                "location_uncertainty": None,
            }
        )
        annotations.append(
            {"id": number, "image_id": 100 - number, "category_id": folders.index(folder)}
        )
    return {
        "info": {},
        "images": images,
        # Listed backwards: the numbers decide.
        "categories": [category(1, FERN), category(0, WORM)],
        "annotations": annotations[::-1],
        "licenses": [],
    }


@pytest.fixture
def root(put: Callable[..., Path], tmp_path: Path) -> Path:
    for split in ("train", "val"):
        (tmp_path / f"{split}.json").write_text(json.dumps(document(split, [WORM, FERN])))
        put(*(f"{split}/{f}/{n}.jpg" for f in (WORM, FERN) for n in "ab"))
    return tmp_path


def test_the_published_json(root: Path) -> None:
    data = inat21(root, ranks="all")
    samples = data.samples
    assert samples.ids[0] == f"train/{WORM}/a.jpg"
    assert samples.splits.tolist() == ["train"] * 4 + ["test"] * 4
    assert samples.targets["species"].classes == (WORM, FERN)
    assert samples.targets["species"].codes.tolist() == [0, 0, 1, 1] * 2
    assert samples.targets["kingdom"].classes == ("Animalia", "Plantae")
    assert samples.marks is not None
    assert int(samples.marks[3]) == (root / samples.ids[3]).stat().st_size
    assert data.image(5) == root / str(samples.ids[5])
    # The classes are what the tree of life is read from.
    tree = inat_folders(samples.targets["species"].classes)
    assert tree.classes("family") == ("Lumbricidae", "Lygodiaceae")


def test_it_is_recognised_and_can_be_said(root: Path) -> None:
    data = open_dataset(root)
    assert data.source["place"] == f"inat21:{root}"
    named = open_dataset(f"inat21:{root}?val_as=val&ranks=genus,order")
    assert named.samples.split_names == ("train", "val")
    assert list(named.samples.targets) == ["species", "genus", "order"]
    assert open_dataset(named.source["place"]).samples.digest == data.samples.digest


def test_folders_alone(root: Path) -> None:
    with_json = inat21(root).samples
    for file in root.glob("*.json"):
        file.unlink()
    alone = inat21(root).samples
    assert sorted(alone.ids) == sorted(with_json.ids)
    assert alone.targets["species"].classes == (WORM, FERN)
    assert set(alone.split_names) == {"train", "test"}
    with pytest.raises(InvalidInputError, match="genus need the categories in a JSON file"):
        inat21(root, ranks="genus")


def test_the_small_training_set(root: Path) -> None:
    (root / "train.json").rename(root / "train_mini.json")
    assert len(inat21(root).samples) == 8
    with pytest.raises(InvalidInputError, match=r"there is no .*train\.json"):
        inat21(root, train="train")


def change(root: Path, name: str, edit: Callable[[Any], None]) -> None:
    content = json.loads((root / name).read_text())
    edit(content)
    (root / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "edit", "match"),
    [
        ("train.json", lambda d: d.pop("categories"), r"train\.json is not in the format"),
        ("val.json", lambda d: d["annotations"].pop(), r"1 of 4 images of .*val\.json have no"),
        ("val.json", lambda d: d["categories"].pop(), r"val\.json has annotations of category 0"),
        (
            "val.json",
            lambda d: d["categories"].append(category(2, FERN)),
            r"val\.json has other categories",
        ),
    ],
)
def test_damaged_json(root: Path, name: str, edit: Callable[[Any], None], match: str) -> None:
    change(root, name, edit)
    with pytest.raises(InvalidInputError, match=match):
        inat21(root)


def test_missing_images_and_wrong_options(root: Path) -> None:
    (root / "val" / FERN / "a.jpg").unlink()
    with pytest.raises(InvalidInputError, match=rf"1 of 8 images of .*, e\.g\. val/{FERN}/a\.jpg"):
        inat21(root)
    with pytest.raises(InvalidInputError, match=r"no rank 'genius'. Did you mean genus"):
        inat21(root, ranks="genius")
    with pytest.raises(InvalidInputError, match="val_as='dev'"):
        inat21(root, val_as="dev")
    with pytest.raises(InvalidInputError, match="is no folder; iNat21"):
        inat21(root / "none")
