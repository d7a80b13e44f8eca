"""Images that change between two extractions into one store."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_images import Projection, TinyImages

import featstore as fs
from featstore.datasets import ImageFolder
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.extraction import extract_features
from featstore.fingerprint import changed_since, fingerprint_of, marked
from featstore.html_report.command import extract_command

NET = "x=random/resnet18?size=32"
OTHER = "y=random/resnet18?size=32&seed=1"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of uncompressed images, all of one size."""
    root = tmp_path / "images"
    for row in range(6):
        path = root / ("cat", "dog")[row % 2] / f"{row}.ppm"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(row).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(noise).save(path)
        os.utime(path, (1e9, 1e9 + row))
    return root


def repaint(path: Path, *, changed: float) -> None:
    """Paint another image of the same size in bytes."""
    size = path.stat().st_size
    Image.fromarray(np.full((40, 40, 3), 7, np.uint8)).save(path)
    os.utime(path, (changed, changed))
    assert path.stat().st_size == size


def test_an_image_that_was_changed_later_is_named(images: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    result = fs.extract(images, NET, store)
    assert fingerprint_of(result.store.attributes["source"]) == "time"
    assert fs.extract(images, OTHER, store).computed == ("y",)
    repaint(images / "dog" / "3.ppm", changed=1.5e9)
    with pytest.raises(InvalidInputError, match=r"1 of 6 images were changed .* dog/3\.ppm"):
        fs.extract(images, "z=random/resnet18?size=32", store)
    ignored = fs.extract(images, "z=random/resnet18?size=32", store, fingerprint="size")
    assert ignored.computed == ("z",)


def test_copies_with_new_times_go_on_by_content(images: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    result = fs.extract(images, NET, store, fingerprint="content")
    for path in images.rglob("*.ppm"):
        os.utime(path)
    # The store says how; the next call need not.
    assert fs.extract(images, OTHER, store).computed == ("y",)
    assert "--hash" in (extract_command(result.store, "x") or "")
    # Same size, and a time as if nothing had happened.
    repaint(images / "dog" / "3.ppm", changed=1e9)
    with pytest.raises(InvalidInputError, match=r"1 of another .* content \(e\.g\. dog/3\.ppm\)"):
        fs.extract(images, "z=random/resnet18?size=32", store)


def test_a_store_that_knows_sizes_cannot_be_asked_for_content(images: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    fs.extract(images, NET, store)
    with pytest.raises(InvalidInputError, match="extracted without --hash"):
        fs.extract(images, OTHER, store, fingerprint="content")


def test_an_interrupted_extraction_refuses_changed_images(images: Path, tmp_path: Path) -> None:
    dataset = marked(ImageFolder.scan(images), "time")
    store = fs.FeatureStore.create(tmp_path / "s.zarr", dataset.samples, source=dataset.source)
    extract_features(dataset, {"half": Projection()}, store)
    repaint(images / "cat" / "0.ppm", changed=1.5e9)
    with pytest.raises(InvalidInputError, match="1 of 6 images were changed"):
        fs.extract(images, NET, store.path)


def test_equal_content_has_equal_marks_and_one_bit_another() -> None:
    few = TinyImages(3)
    marks = marked(few, "content").samples.marks
    again = marked(few, "content").samples.marks
    assert marks is not None
    assert len(set(marks.tolist())) == 3
    np.testing.assert_array_equal(marks, again)
    assert changed_since(few, {"newest_ns": 0}) == []  # no files, no times


def test_a_file_that_cannot_be_read_is_named(images: Path) -> None:
    dataset = ImageFolder.scan(images)
    (images / "cat" / "2.ppm").unlink()
    for way in ("time", "content"):
        with pytest.raises(UnreadableImageError, match=r"2\.ppm.*No such file"):
            marked(dataset, way)
