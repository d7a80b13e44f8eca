"""JPEG files that a device decodes; on the CPU by the code that CUDA devices run."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tiny_images import TinyImages

import featstore as fs
from featstore.corruptions import Jpeg
from featstore.device_images import DeviceDecoder, device_file
from featstore.errors import InvalidInputError, OutOfMemoryError
from featstore.fast_images import apply_fast
from featstore.feed import PixelFeed
from featstore.images import ImageSource, decode, load_pixels
from featstore.preparation import Preparation
from featstore.samples import Samples
from featstore.spec import BackboneSpec, FeatureSpec
from featstore.transform import PAPER, Transform

CUDA = Transform(decode="cuda")
TRANSFORMS = [
    CUDA,
    replace(PAPER, interpolation="bicubic", size=96, decode="cuda"),
    Transform(geometry="squash", resize=None, size=160, decode="cuda"),
    Transform(resize=64, size=96, decode="cuda"),  # the crop is larger than the image
    Transform(interpolation="lanczos", decode="cuda"),  # which torch does not have
]


@dataclass(frozen=True)
class Images:
    """Any sources of images as a data set."""

    sources: Sequence[Any]

    @cached_property
    def samples(self) -> Samples:
        n = len(self.sources)
        return Samples(np.asarray([f"{i:03d}" for i in range(n)]), np.full(n, "train"))

    source = {"kind": "test"}  # noqa: RUF012

    def image(self, row: int) -> ImageSource:
        source = self.sources[row]
        found: ImageSource = source() if callable(source) else source
        return found


def fed(
    sources: Sequence[Any], transforms: Sequence[Transform], **options: Any
) -> tuple[list[NDArray[np.uint8]], dict[int, str]]:
    """Have a feed make all pixels, in batches of 16; the reasons of those that it could not."""
    preparations = [Preparation(transform) for transform in transforms]
    parts: list[list[NDArray[np.uint8]]] = [[] for _ in transforms]
    unreadable: dict[int, str] = {}
    chunks = [range(i, min(i + 16, len(sources))) for i in range(0, len(sources), 16)]
    with PixelFeed(Images(sources), preparations, decode_device="cpu", **options) as feed:
        for batch in feed.batches(chunks, longest=16):
            unreadable |= batch.unreadable
            for part, preparation in zip(parts, preparations, strict=True):
                part.append(batch.pixels[preparation].copy())
    return [np.concatenate(part) for part in parts], unreadable


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def files(photos: Path) -> list[Path]:
    return sorted(photos.glob("*/*/*.jpg"))[::12]


def test_pixels_are_within_a_level_of_pillows(files: list[Path]) -> None:
    pixels, unreadable = fed(files, [*TRANSFORMS, Transform()])
    assert not unreadable
    for transform, found in zip(TRANSFORMS, pixels, strict=False):
        exact = np.stack([load_pixels(file, transform) for file in files])
        difference = np.abs(found.astype(int) - exact)
        assert difference.max() <= 1
        assert difference.mean() < 0.2
    # Others who look at the same images get what they ask for.
    np.testing.assert_array_equal(pixels[-1][3], load_pixels(files[3], Transform()))


def test_the_device_gets_whole_jpeg_files_and_nothing_else(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = decode(files[0])
    whole = files[0].read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    sources = [
        files[0],
        whole,
        lambda: io.BytesIO(whole),
        encoded(photo.convert("L")),
        encoded(photo.convert("CMYK")),
        encoded(photo, "PNG"),
        photo,
        np.asarray(photo),
        tmp_path / "cut.jpg",
        tmp_path / "gone.jpg",
        b"\xff\xd8 no header \xff\xd9",
    ]
    seen: list[int] = []
    original = DeviceDecoder.fill

    def fill(self: Any, contents: Any, places: Any) -> Any:
        seen.extend(contents)
        return original(self, contents, places)

    monkeypatch.setattr(DeviceDecoder, "fill", fill)
    (pixels,), unreadable = fed(sources, [CUDA])
    assert sorted(seen) == [0, 1, 2, 3]
    assert sorted(unreadable) == [8, 9, 10]
    assert "cut.jpg" in unreadable[8]
    assert "truncated" in unreadable[8]
    assert "gone.jpg': no such file" in unreadable[9]
    assert not pixels[8:].any()
    for row in (4, 5, 6, 7):
        source: Any = sources[row]
        np.testing.assert_array_equal(pixels[row], apply_fast(decode(source), CUDA))
    np.testing.assert_array_equal(pixels[0], pixels[1])
    np.testing.assert_array_equal(pixels[0], pixels[2])
    assert np.ptp(pixels[3], axis=-1).max() == 0  # grey


def test_what_the_device_cannot_decode_is_decoded_here(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, original = files[:8], DeviceDecoder._decode
    odd = sources[5].read_bytes()

    def picky(self: Any, contents: Sequence[bytes]) -> Any:
        if odd in contents:
            raise RuntimeError("nvjpegDecode failed: 4")
        return original(self, contents)

    (whole,), _ = fed(sources, [CUDA])
    monkeypatch.setattr(DeviceDecoder, "_decode", picky)
    (pixels,), unreadable = fed(sources, [CUDA])
    assert not unreadable
    np.testing.assert_array_equal(np.delete(pixels, 5, 0), np.delete(whole, 5, 0))
    np.testing.assert_array_equal(pixels[5], apply_fast(decode(sources[5]), CUDA))


def test_too_many_files_for_the_memory_are_decoded_in_parts(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {i: file.read_bytes() for i, file in enumerate(files[:16])}
    place, again = (np.zeros((16, 224, 224, 3), np.uint8) for _ in range(2))
    DeviceDecoder("cpu").fill(contents, {CUDA: place})
    decoder, original, room = DeviceDecoder("cpu"), DeviceDecoder._decode, 5

    def tight(self: Any, some: Sequence[bytes]) -> Any:
        if len(some) > room:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return original(self, some)

    monkeypatch.setattr(DeviceDecoder, "_decode", tight)
    assert decoder.fill(contents, {CUDA: again}) == []
    np.testing.assert_array_equal(place, again)
    room = 0
    with pytest.raises(OutOfMemoryError, match="for 1 image at a time"):
        decoder.fill(contents, {CUDA: again})


def test_a_file_that_hangs_is_named(files: list[Path]) -> None:
    gate = threading.Event()

    def hang() -> bytes:
        gate.wait()
        return b""

    sources = [*files[:4], hang, *files[4:8]]
    (pixels,), unreadable = fed(sources, [CUDA], timeout_s=0.3, workers=2)
    assert list(unreadable) == [4]
    assert "not decoded within 0.3 s" in unreadable[4]
    (others,), _ = fed(files[:8], [CUDA])
    np.testing.assert_array_equal(np.delete(pixels, 4, 0), others)
    gate.set()


def test_without_a_cuda_device_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InvalidInputError, match=r"decode='cuda' wants .*sees 0; use --decode fast"):
        fs.extract(TinyImages(3), "random/resnet18", tmp_path / "s.zarr", decode="cuda")
    assert not (tmp_path / "s.zarr").exists()


def test_a_torchvision_without_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode_jpeg(*_: Any, **__: Any) -> Any:
        raise RuntimeError("not compiled with nvJPEG support")

    monkeypatch.setattr("torchvision.io.decode_jpeg", decode_jpeg)
    with pytest.raises(InvalidInputError, match=r"cannot decode .* nvJPEG support; use --decode"):
        DeviceDecoder("cpu")


def test_it_is_another_feature_and_has_no_corruptions() -> None:
    backbone = BackboneSpec("x", "x", "x", "0" * 64, "x", "none", 4)
    specs = [
        FeatureSpec(backbone, Transform(decode=way), "float16", "fp32", "0")
        for way in ("exact", "fast", "dct", "cuda")
    ]
    assert len({spec.digest for spec in specs}) == 4
    assert FeatureSpec.from_json(specs[3].to_json()) == specs[3]
    with pytest.raises(InvalidInputError, match="decode='cuda' keeps that to itself"):
        Preparation(CUDA, Jpeg(10))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_images_on_cuda(files: list[Path]) -> None:
    """Without subsampled chroma, decoders agree but for rounding."""
    contents = {i: encoded(decode(file), quality=95, subsampling=0) for i, file in enumerate(files)}
    assert all(device_file(content)[1] is not None for content in contents.values())
    for transform in TRANSFORMS[:4]:
        shape = (len(contents), transform.size, transform.size, 3)
        places = {device: np.zeros(shape, np.uint8) for device in ("cpu", "cuda")}
        for device, place in places.items():
            assert DeviceDecoder(device).fill(contents, {transform: place}) == []
        difference = np.abs(places["cpu"].astype(int) - places["cuda"])
        assert difference.max() <= 4
        assert difference.mean() < 0.5
