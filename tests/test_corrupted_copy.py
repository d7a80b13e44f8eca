"""A corrupted copy of a data set: exact pixels, a manifest, all or nothing."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import featstore as fs
from featstore.corruptions import Jpeg, SaltAndPepper
from featstore.datasets import ImageFolder, ImageTable
from featstore.durable import lock
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.images import decode


@pytest.mark.parametrize(
    ("text", "corruption", "suffix"),
    [("jpeg10", Jpeg(10), ".jpg"), ("salt-pepper", SaltAndPepper(), ".png")],
)
def test_a_copy_has_the_pixels_of_the_corruption(
    few_photos: Path, tmp_path: Path, text: str, corruption: Jpeg | SaltAndPepper, suffix: str
) -> None:
    copy = fs.corrupt_images(few_photos, text, tmp_path / "copy")
    assert (copy.images, copy.written) == (60, 60)
    original = ImageFolder.scan(few_photos).samples
    with copy.manifest.open(encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    assert [row["id"] for row in listed] == original.ids.tolist()
    for row, split in zip(listed, original.splits.tolist(), strict=True):
        assert row["split"] == split
        assert row["path"] == str(Path(row["id"]).with_suffix(suffix))
        assert row["label"] == row["id"].split("/")[1]
        expected = corruption.apply(decode(few_photos / row["id"]), row["id"])
        with Image.open(copy.out / row["path"]) as image:
            np.testing.assert_array_equal(image, expected)
    # It can be read as a folder, and through its manifest.
    folder = ImageFolder.scan(copy.out).samples
    assert folder.targets["label"].classes == original.targets["label"].classes
    table = ImageTable.read(copy.manifest)
    assert list(table.samples.targets) == ["label"]
    assert table.samples.splits.tolist() == original.splits.tolist()


def test_an_interrupted_copy_goes_on_and_a_whole_one_stays(
    few_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fs.corrupt_images(few_photos, "salt-pepper", tmp_path / "whole")
    left = iter(range(25))

    def halting(source: Path) -> Image.Image:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return decode(source)

    monkeypatch.setattr("featstore.corrupted_copy.decode", halting)
    with pytest.raises(KeyboardInterrupt):
        fs.corrupt_images(few_photos, "salt-pepper", tmp_path / "copy", workers=1)
    monkeypatch.undo()
    assert not (tmp_path / "copy").exists()
    scratch = tmp_path / ".copy.partial"
    (scratch / "train" / ".x.0123.partial.png").write_bytes(b"cut short by a kill")
    with pytest.raises(InvalidInputError, match=r"is a copy with salt-pepper0\.01"):
        fs.corrupt_images(few_photos, "jpeg10", tmp_path / "copy")
    resumed = fs.corrupt_images(few_photos, "salt-pepper", tmp_path / "copy")
    assert (resumed.images, resumed.written) == (60, 35)
    assert _files(resumed.out) == _files(whole.out)
    again = fs.corrupt_images(few_photos, "salt-pepper", tmp_path / "copy")
    assert (again.images, again.written) == (60, 0)
    with pytest.raises(InvalidInputError, match="choose another --out"):
        fs.corrupt_images(few_photos, "jpeg10", tmp_path / "copy")


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_nothing_is_overwritten(few_photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(InvalidInputError, match="exists and is something else"):
        fs.corrupt_images(few_photos, "jpeg10", tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_two_processes_do_not_write_one_copy(tmp_path: Path) -> None:
    bad = tmp_path / "images"
    for name in ("a/1.png", "b/2.png"):
        (bad / name).parent.mkdir(parents=True)
        (bad / name).write_bytes(b"no image")
    with pytest.raises(UnreadableImageError):
        fs.corrupt_images(bad, "jpeg10", tmp_path / "copy")
    descriptor = os.open(tmp_path / ".copy.partial" / "corruption.json", os.O_RDWR)
    try:
        assert lock(descriptor)
        with pytest.raises(InvalidInputError, match="another process is writing"):
            fs.corrupt_images(bad, "jpeg10", tmp_path / "copy")
    finally:
        os.close(descriptor)


def test_unreadable_images_stop_or_are_left_out(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png", "b/3.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (90, 90, 90)).save(tmp_path / "images" / name)
    (tmp_path / "images" / "b" / "3.png").write_bytes(b"")
    with pytest.raises(UnreadableImageError, match="the file is empty"):
        fs.corrupt_images(tmp_path / "images", "jpeg10", tmp_path / "copy")
    copy = fs.corrupt_images(tmp_path / "images", "jpeg10", tmp_path / "copy", on_error="skip")
    assert (copy.images, len(copy.excluded)) == (2, 1)
    assert len(copy.manifest.read_text().splitlines()) == 3
    assert json.loads((copy.out / "corruption.json").read_text())["corruption"] == {
        "name": "jpeg",
        "quality": 10,
    }


def test_images_that_would_be_one_file_are_named(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/1.jpg", "b/2.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30)).save(tmp_path / "images" / name)
    with pytest.raises(InvalidInputError, match=r"a/1\.jpg and a/1\.png would both be written"):
        fs.corrupt_images(tmp_path / "images", "jpeg10", tmp_path / "copy")


def test_images_outside_of_one_folder_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "x.png")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "t.csv").write_text("path,label\n../x.png,a\n../t/../x.png,b\n")
    with pytest.raises(InvalidInputError, match="outside of the copy"):
        fs.corrupt_images(tmp_path / "t" / "t.csv", "jpeg10", tmp_path / "copy")
