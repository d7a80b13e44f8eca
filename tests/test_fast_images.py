"""Fast pixels: resized within a level; reduced scales that leave enough."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms.v2 import functional as v2

from featstore.corruptions import Jpeg
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.fast_images import apply_fast, smallest_side
from featstore.images import apply, decode, load_pixels
from featstore.preparation import Preparation, prepare
from featstore.transform import PAPER, Transform, paper

FAST = Transform(decode="fast")
TRANSFORMS = [
    Transform(),
    replace(PAPER, interpolation="bicubic", size=96),
    Transform(geometry="squash", resize=None, size=160),
    Transform(resize=64, size=96),  # the crop is larger than the image
    Transform(interpolation="lanczos"),
]


def fast(source: Any, transform: Transform) -> NDArray[np.uint8]:
    return apply_fast(decode(source), transform)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Make an image that no resize has trouble with."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    waves = [127 + 120 * np.sin(7 * x + k) * np.cos(5 * y + k) for k in range(3)]
    return Image.fromarray(np.stack(waves, -1).astype(np.uint8)).convert(mode)


@pytest.fixture(scope="module")
def files(photos: Path) -> list[Path]:
    return sorted(photos.glob("*/*/*.jpg"))[::40]


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_resized_pixels_are_within_a_level(files: list[Path], transform: Transform) -> None:
    for file in files:
        difference = fast(file, transform).astype(int) - load_pixels(file, transform)
        assert np.abs(difference).max() <= 1
        assert np.abs(difference).mean() < 0.2


def test_resized_pixels_are_torchvisions(files: list[Path]) -> None:
    for file in files:
        image = torch.from_numpy(np.array(decode(file))).permute(2, 0, 1)
        theirs = v2.center_crop(v2.resize(image, [256], antialias=True), [224])
        np.testing.assert_array_equal(fast(file, FAST), theirs.permute(1, 2, 0))


def test_reduced_scales_leave_twice_the_pixels() -> None:
    content = encoded(smooth(1600, 1200))
    dct = Transform(decode="dct")
    assert [smallest_side(t) for t in (FAST, dct, paper(dct))] == [None, 512, 512]
    for smallest, expected in ((512, (800, 600)), (256, (400, 300)), (1201, (1600, 1200))):
        assert decode(content, smallest=smallest).size == expected
    # A smooth image has nothing but low frequencies.
    exact = load_pixels(content, Transform()).astype(int)
    place = np.zeros((224, 224, 3), np.uint8)
    prepare(content, "x", {Preparation(dct): place})
    assert 0 < np.abs(place - exact).max() <= 3


def test_all_ways_of_one_stream() -> None:
    """A stream can be read once; every way of decoding gets its bytes."""
    content = encoded(smooth(1600, 1200))
    ways = [Preparation(Transform(decode=how)) for how in ("exact", "fast", "dct")]
    places = {way: np.zeros((224, 224, 3), np.uint8) for way in ways}
    prepare(io.BytesIO(content), "x", places)
    exact, fastly, dct = places.values()
    np.testing.assert_array_equal(exact, apply(decode(content), Transform()))
    np.testing.assert_array_equal(fastly, fast(content, FAST))
    assert not np.array_equal(dct, fastly)


def test_what_has_no_scales_is_decoded_as_it_is() -> None:
    assert decode(encoded(smooth(1200, 1200), "PNG"), smallest=600).size == (1200, 1200)
    cmyk = decode(encoded(smooth(1200, 1200, "CMYK")), smallest=600)
    assert (cmyk.mode, cmyk.size) == ("RGB", (600, 600))
    image = smooth(1200, 1200)
    np.testing.assert_array_equal(decode(image, smallest=300), image)
    content = encoded(image)
    with pytest.raises(UnreadableImageError, match="truncated"):
        decode(content[: len(content) // 2], smallest=600)


def test_corruptions_are_of_full_size(files: list[Path]) -> None:
    places = {
        Preparation(transform, Jpeg(10)): np.zeros((224, 224, 3), np.uint8)
        for transform in (Transform(), FAST)
    }
    prepare(files[0], "x", places)
    exact, fastly = places.values()
    assert np.abs(exact.astype(int) - fastly).max() == 1
    with pytest.raises(InvalidInputError, match=r"'jpeg10' is of images of full size, and"):
        Preparation(Transform(decode="dct"), Jpeg(10))


def test_names_of_ways() -> None:
    with pytest.raises(InvalidInputError, match=r"decode 'quick' is not one of exact, fast, dct"):
        Transform(decode="quick")  # type: ignore[arg-type]
