"""Pixels against torchvision's own transforms, bit for bit, and the modes where peers differ."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.transforms as v1
import torchvision.transforms.v2 as v2
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torchvision.datasets.folder import pil_loader
from torchvision.transforms import InterpolationMode

from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.images import apply, decode, load_pixels
from featstore.transform import PAPER, Transform

BICUBIC = Transform(interpolation="bicubic", resize=248)
SQUASH = Transform(geometry="squash", resize=None, size=96, interpolation="lanczos")


def torchvision_pixels(image: Image.Image, transform: Transform, api: Any) -> NDArray[np.uint8]:
    """Compute the same geometry by torchvision's own classes."""
    mode = InterpolationMode(transform.interpolation)
    size = transform.size
    if transform.geometry == "resize-crop":
        steps = [api.Resize(transform.resize, mode, antialias=True), api.CenterCrop(size)]
    elif transform.geometry == "crop-resize":
        assert transform.crop_fraction is not None
        edge = max(1, round(transform.crop_fraction * min(image.size)))
        steps = [api.CenterCrop(edge), api.Resize((size, size), mode, antialias=True)]
    else:
        steps = [api.Resize((size, size), mode, antialias=True)]
    return np.asarray(api.Compose(steps)(image))


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_real_photos_are_identical_to_torchvision(clothing: Path) -> None:
    photos = sorted(clothing.rglob("*.jpg"))[:200]
    assert photos
    for number, photo in enumerate(photos):
        theirs = pil_loader(photo)
        for transform in (Transform(), (BICUBIC, PAPER, SQUASH)[number % 3]):
            api = (v1, v2)[number % 2]
            np.testing.assert_array_equal(
                load_pixels(photo, transform),
                torchvision_pixels(theirs, transform, api),
                str(photo),
            )


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.integers(1, 70),
    resize=st.integers(1, 70),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
    fraction=st.floats(0.01, 1.0),
)
@pytest.mark.parametrize("api", [v1, v2], ids=["v1", "v2"])
def test_odd_sizes_are_identical_to_torchvision(
    api: Any, width: int, height: int, size: int, resize: int, interpolation: Any, fraction: float
) -> None:
    image = noise(width, height)
    resize_crop = Transform(size=size, resize=resize, interpolation=interpolation)
    crop_resize = replace(resize_crop, geometry="crop-resize", resize=None, crop_fraction=fraction)
    squash = replace(resize_crop, geometry="squash", resize=None)
    for transform in (resize_crop, crop_resize, squash):
        np.testing.assert_array_equal(
            apply(image, transform), torchvision_pixels(image, transform, api)
        )


def test_paper_crop_is_the_centre() -> None:
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[5:75, 25:95] = 255  # 87.5 % of the short side, in the middle
    assert apply(Image.fromarray(pixels), PAPER).min() == 255


def test_decode_once_apply_often_into_a_buffer(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    noise(300, 260).save(path)
    image = decode(path)
    batch = np.zeros((2, 224, 224, 3), np.uint8)
    for row, transform in zip(batch, (BICUBIC, PAPER), strict=True):
        assert apply(image, transform, out=row) is row
        np.testing.assert_array_equal(row, load_pixels(path, transform))
    with pytest.raises(InvalidInputError, match="out must be uint8"):
        apply(image, SQUASH, out=batch[0])
    with pytest.raises(InvalidInputError, match="mode 'L'"):
        apply(image.convert("L"), PAPER)


def test_sources_agree(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    noise(30, 20).save(path)
    expected = np.asarray(pil_loader(path))
    with path.open("rb") as file:
        for source in (path, str(path), path.read_bytes(), file):
            np.testing.assert_array_equal(np.asarray(decode(source)), expected)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "CMYK", "YCbCr", "P"])
def test_modes_as_pil_converts_them(mode: str, tmp_path: Path) -> None:
    kind = {"CMYK": "JPEG", "YCbCr": "JPEG"}.get(mode, "PNG")
    path = tmp_path / f"image.{kind.lower()}"
    noise(40, 30).convert(mode).save(path)
    np.testing.assert_array_equal(np.asarray(decode(path)), np.asarray(pil_loader(path)))


def test_alpha_is_dropped_not_composited() -> None:
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert decode(encoded(image, "PNG")).getpixel((0, 0)) == (10, 20, 30)


def test_palette_with_transparency_keeps_its_colours() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([200, 10, 10, 10, 200, 10])
    image.putpixel((1, 0), 1)
    # Bytes of alpha, as a PNG's tRNS chunk has them: PIL warns when this goes to RGB directly.
    rgb = decode(encoded(image, "PNG", transparency=b"\x00\x80"))
    assert [rgb.getpixel((x, 0)) for x in (0, 1)] == [(200, 10, 10), (10, 200, 10)]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    values = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    rgb = np.asarray(decode(encoded(Image.fromarray(values), kind)))
    expected = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    np.testing.assert_array_equal(rgb, np.broadcast_to(expected, (16, 16, 3)))


def test_ranges_that_cannot_be_known_are_refused() -> None:
    for pixels in (np.float32([[0.5]]), np.int32([[70_000]]), np.int32([[-1]])):
        with pytest.raises(UnreadableImageError, match=r"scale them .*save as 8"):
            decode(encoded(Image.fromarray(pixels), "TIFF"))


def test_exif_orientation_is_not_applied() -> None:
    image = noise(8, 4)
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees"
    assert decode(encoded(image, "JPEG", exif=exif)).size == (8, 4)


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data).getpixel((0, 0)) == (255, 0, 0)


def test_unreadable_files_say_which_and_why(tmp_path: Path) -> None:
    jpeg = encoded(noise(64, 64), "JPEG")
    files = {
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "text.jpg": (b"this is no image", "not an image"),
        "empty.jpg": (b"", "the file is empty"),
    }
    for name, (data, reason) in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(UnreadableImageError, match=rf"{name}'.*{reason}"):
            decode(path)
        with pytest.raises(UnreadableImageError, match=rf"of {len(data)} bytes: .*{reason}"):
            decode(data)
    with pytest.raises(UnreadableImageError, match=r"gone\.jpg'.*no such file"):
        decode(tmp_path / "gone.jpg")
    with pytest.raises(UnreadableImageError, match="it is a folder"):
        decode(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    noise(4, 4).save(path)
    path.chmod(0)
    with pytest.raises(UnreadableImageError, match="Permission denied"):
        decode(path)


@pytest.mark.parametrize("limit", [40, 60], ids=["error", "warning"])
def test_decompression_bomb(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(noise(10, 10), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UnreadableImageError, match=r"decompression bomb.*MAX_IMAGE_PIXELS"):
        decode(data)
