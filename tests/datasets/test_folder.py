"""Image folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from featstore.datasets import ImageFolder
from featstore.errors import InvalidInputError


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    return root


def test_classes_without_splits_get_a_hold_out(tmp_path: Path) -> None:
    names = [f"{c}/{i}.png" for c in ("ant", "bee") for i in range(10)]
    folder = ImageFolder.scan(make(tmp_path, *names))
    samples = folder.samples
    assert samples.ids.tolist() == sorted(names)
    assert samples.targets["label"].classes == ("ant", "bee")
    assert (samples.splits == "test").sum() == 4
    assert "hold-out" in folder.source["split"]
    assert folder.image(0) == tmp_path / "ant" / "0.png"


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_split_folders(tmp_path: Path, val: str) -> None:
    names = [f"{s}/{c}/deep/{s}.jpg" for s in ("train", val, "test") for c in ("a", "b")]
    samples = ImageFolder.scan(make(tmp_path, *names)).samples
    assert samples.split_names == ("test", "train", "val")
    assert samples.targets["label"].classes == ("a", "b")


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    samples = ImageFolder.scan(make(tmp_path, "train/1.jpg", "plane/1.jpg")).samples
    assert samples.targets["label"].classes == ("plane", "train")


def test_splits_beside_other_folders_are_refused(tmp_path: Path) -> None:
    names = [f"{s}/{c}/1.jpg" for s in ("train", "test") for c in ("a", "b")]
    with pytest.raises(InvalidInputError, match=r"splits \(test, train\) beside .*\(docs\)"):
        ImageFolder.scan(make(tmp_path, *names, "docs/figure.png"))


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / "2.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(InvalidInputError, match=r"2\.png cannot be followed"):
        ImageFolder.scan(tmp_path)
    (tmp_path / "a" / "2.png").unlink()
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a" / "loop")
    with pytest.raises(InvalidInputError, match="loop cannot be followed"):
        ImageFolder.scan(tmp_path)


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a/1.JPG", "b/1.png", ".hidden/1.png", "a/.2.png")
    (tmp_path / "a" / "notes.txt").write_text("x")
    assert ImageFolder.scan(tmp_path).samples.ids.tolist() == ["a/1.JPG", "b/1.png"]


def test_real_photos(clothing: Path) -> None:
    samples = ImageFolder.scan(clothing).samples
    assert len(samples) == 1272
    assert len(samples.targets["label"].classes) == 10
    assert (samples.splits == "train").sum() == 900


def test_unlabelled(tmp_path: Path) -> None:
    samples = ImageFolder.scan(make(tmp_path, "1.png", "a/2.png"), unlabelled=True).samples
    assert samples.ids.tolist() == ["1.png", "a/2.png"]
    assert not samples.targets


@pytest.mark.parametrize(
    ("names", "match"),
    [
        ((), "no images below"),
        (("a/1.png", "a/2.png"), "all 2 images .* are of one class, 'a'"),
        (("a/1.png", "b/1.png", "2.png"), "1 images are not in a class folder, e.g. 2.png"),
        (("train/1.png", "train/a/1.png", "test/b/1.png"), "e.g. train/1.png"),
    ],
)
def test_bad_folders(tmp_path: Path, names: tuple[str, ...], match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        ImageFolder.scan(make(tmp_path, *names))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="does not exist"):
        ImageFolder.scan(tmp_path / "none")
    with pytest.raises(InvalidInputError, match="is a file"):
        ImageFolder.scan(Path(__file__))
