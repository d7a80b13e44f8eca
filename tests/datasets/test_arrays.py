"""Images in memory: scikit-learn's digits, memory-mapped stacks, sizes that differ."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import featstore as fs
from featstore.datasets import ImageArrays
from featstore.errors import InvalidInputError
from featstore.images import decode
from featstore.samples import Target

NET = "random/resnet18?size=32"


def test_digits(tmp_path: Path) -> None:
    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8)
    splits = ["train"] * 1000 + ["testing"] * 797
    data = ImageArrays(images, {"digit": digits.target, "odd": digits.target % 2}, splits=splits)
    samples = data.samples
    assert samples.ids[[0, 1000]].tolist() == ["train/0", "test/0"]
    assert samples.targets["digit"].classes == tuple("0123456789")
    assert samples.targets["odd"].codes.tolist() == (digits.target % 2).tolist()
    np.testing.assert_array_equal(np.asarray(decode(data.image(3)))[..., 0], images[3])
    result = fs.extract(ImageArrays(images[:50], digits.target[:50]), NET, tmp_path / "s.zarr")
    assert result.images == 50
    changed = images[:50].copy()
    changed[7, 0, 0] += 1
    with pytest.raises(InvalidInputError, match="1 of another file size or content"):
        fs.extract(ImageArrays(changed, digits.target[:50]), NET, tmp_path / "s.zarr")


def test_a_memory_mapped_stack_is_read_image_by_image(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 1 << 16, (5, 8, 9), dtype=np.uint16)
    np.save(tmp_path / "x.npy", pixels)
    data = ImageArrays(np.load(tmp_path / "x.npy", mmap_mode="r"), ids=list("abcde"), hold_out=None)
    assert data.samples.marks is None
    grey = np.asarray(decode(data.image(4)))
    np.testing.assert_array_equal(grey[..., 1], pixels[4] >> 8)


def test_arrays_of_different_sizes_and_channels() -> None:
    rng = np.random.default_rng(0)
    shapes = [(4, 5), (6, 3, 1), (3, 3, 3), (2, 7, 4)]
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    data = ImageArrays(images, ["a", "b", "a", "b"], hold_out=None)
    for row, pixels in enumerate(images):
        seen = np.asarray(decode(data.image(row)))
        assert seen.shape == (*pixels.shape[:2], 3)
        # Alpha is dropped, as it is from files.
        colour = pixels if pixels.ndim == 2 else pixels[..., 0]
        np.testing.assert_array_equal(seen[..., 0], colour)


@pytest.mark.parametrize(
    ("images", "options", "match"),
    [
        (np.zeros((0, 4, 4), np.uint8), {}, "no images in the array"),
        (np.zeros((2, 4, 4), np.float32), {}, "pixels of float32 have no known range"),
        (np.zeros((2, 3, 4, 5), np.uint8), {}, "channels come last"),
        (np.zeros((2, 4), np.uint8), {}, "no stack of images"),
        (np.zeros((2, 4, 4), np.uint8), {"targets": [1, 2, 3]}, "'label' has 3 entries for 2"),
        (np.zeros((2, 4, 4), np.uint8), {"targets": np.eye(2)}, "a boolean matrix"),
        (np.zeros((2, 4, 4), np.uint8), {"ids": ["a", "a"]}, "more than once"),
        (np.zeros((2, 4, 4), np.uint8), {"weights": [1, -1]}, "negative or no number, e.g. '1'"),
    ],
)
def test_bad_arrays(images: Any, options: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        ImageArrays(images, **options, hold_out=None)


def test_a_target_is_taken_as_it_is() -> None:
    target = Target("single", ("z", "a"), np.asarray([0, 1], np.int32))
    data = ImageArrays(np.zeros((2, 4, 4), np.uint8), target, hold_out=None)
    assert data.samples.targets["label"].classes == ("z", "a")


@pytest.mark.parametrize("whole", [True, False])
def test_mapped_pixels_stay_in_their_file_when_the_images_travel(
    whole: bool, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 64, 64, 3), np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    if not whole:
        mapped = mapped[3:5]
    sent = pickle.dumps(ImageArrays(mapped, np.arange(len(mapped)) % 2, hold_out=None))
    assert (len(sent) < 5000) == whole
    arrived = pickle.loads(sent)
    for row in (0, len(mapped) - 1):
        np.testing.assert_array_equal(arrived.image(row), mapped[row])
