"""Places365: the official list of classes, and file lists in the official form."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from featstore.datasets import open_dataset, places365
from featstore.errors import InvalidInputError

LISTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "places365"
TRAIN = ["/a/airfield/00000001.jpg 0", "/a/alley/00000002.jpg 4", "/b/bakery/shop/00000001.jpg 31"]


@pytest.fixture
def root(put: Callable[..., Path], tmp_path: Path) -> Path:
    if not LISTS.is_dir():
        pytest.skip("the official lists of Places365 are not beside this checkout")
    lists = tmp_path / "filelist_places365-standard"
    lists.mkdir()
    for name in ("categories_places365.txt", "IO_places365.txt"):
        shutil.copyfile(LISTS / name, lists / name)
    (lists / "places365_train_standard.txt").write_text("\n".join(TRAIN) + "\n")
    (lists / "places365_val.txt").write_text(
        "Places365_val_00000001.jpg 4\nPlaces365_val_00000002.jpg 0\n"
    )
    put(*(f"data_256{line.split()[0]}" for line in TRAIN))
    put(*(f"val_256/Places365_val_0000000{n}.jpg" for n in (1, 2)))
    return tmp_path


def test_the_official_lists(root: Path) -> None:
    data = open_dataset(root)
    samples = data.samples
    assert data.source["kind"] == "places365"
    assert samples.ids.tolist() == [
        "data_256/a/airfield/00000001.jpg",
        "data_256/a/alley/00000002.jpg",
        "data_256/b/bakery/shop/00000001.jpg",
        "val_256/Places365_val_00000001.jpg",
        "val_256/Places365_val_00000002.jpg",
    ]
    assert samples.splits.tolist() == ["train"] * 3 + ["test"] * 2
    scene = samples.targets["scene"]
    assert len(scene.classes) == 365
    assert [scene.classes[code] for code in scene.codes] == [
        "/a/airfield",
        "/a/alley",
        scene.classes[31],
        "/a/alley",
        "/a/airfield",
    ]
    kind = samples.targets["indoor_outdoor"]
    assert [kind.classes[code] for code in kind.codes[:2]] == ["outdoor", "outdoor"]
    assert data.image(2).is_file()  # type: ignore[union-attr]


def test_large_images_and_lists_elsewhere(root: Path, tmp_path: Path) -> None:
    (root / "data_256").rename(root / "data_large")
    (root / "val_256").rename(root / "val_large")
    lists = root / "filelist_places365-standard"
    lists.rename(root.parent / f"{root.name}-lists")
    with pytest.raises(InvalidInputError, match=r"there is no categories_places365\.txt"):
        places365(root)
    data = open_dataset(f"places365:{root}?lists={root.parent / (root.name + '-lists')}")
    assert data.samples.ids[3] == "val_large/Places365_val_00000001.jpg"
    with pytest.raises(InvalidInputError, match="there is no val_256 in"):
        places365(root, lists=root.parent / f"{root.name}-lists", size="256")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("places365_val.txt", "Places365_val_00000001.jpg\n", "line 1 of .* expected a name and"),
        ("places365_val.txt", "Places365_val_00000001.jpg 365\n", "class number 365"),
        ("places365_val.txt", "Places365_val_00000009.jpg 0\n", r"1 of 4 images .*00000009\.jpg"),
        ("places365_val.txt", "", "is empty"),
        ("categories_places365.txt", "/a/airfield 1\n", "are not 0 to 0"),
        ("IO_places365.txt", "/a/airfield 3\n", "does not say 1 .indoor. or 2 .outdoor. for 365"),
    ],
)
def test_damaged_lists(root: Path, name: str, content: str, match: str) -> None:
    (root / "filelist_places365-standard" / name).write_text(content)
    with pytest.raises(InvalidInputError, match=match):
        places365(root)
