"""Bands: tifffile's own writer as the oracle, and what has no obvious range."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from featstore.bands import Bands
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.images import decode

RNG = np.random.default_rng(0)
SIX = RNG.integers(0, 10_000, (7, 5, 6), dtype=np.uint16)


def tiff(pixels: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="minisblack", **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["interleaved", "planes", "pages", "deflate", "npy", "array"])
def test_six_bands_in_every_form(form: str, tmp_path: Path) -> None:
    planes = np.ascontiguousarray(SIX.transpose(2, 0, 1))
    source: Any = {
        "interleaved": lambda: tiff(SIX, planarconfig="contig"),
        "planes": lambda: tiff(planes, planarconfig="separate"),
        "pages": lambda: tiff(planes),
        "deflate": lambda: tiff(SIX, planarconfig="contig", compression="zlib"),
        "npy": lambda: npy(SIX, tmp_path / "x.npy"),
        "array": lambda: SIX,
    }[form]()
    np.testing.assert_array_equal(Bands.read(source), SIX)
    shown = Bands(4, 3, 2, 0, 10_000).rgb(source)
    expected = np.rint(SIX[..., [3, 2, 1]].astype(float) * 255 / 10_000).astype(np.uint8)
    np.testing.assert_array_equal(shown, expected)
    np.testing.assert_array_equal(np.asarray(decode(shown)), expected)


def npy(pixels: NDArray[Any], path: Path) -> Path:
    np.save(path, pixels)
    return path


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits"])
def test_usual_tiffs_of_8_bits_need_nothing_else(compression: str | None, tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    path = tmp_path / "x.tif"
    Image.fromarray(pixels).save(path, compression=compression)
    np.testing.assert_array_equal(Bands().rgb(path), pixels)
    np.testing.assert_array_equal(Bands(3, 3, 3).rgb(path), pixels[..., [2, 2, 2]])


def test_sixteen_bits_are_read_as_images_read_them(tmp_path: Path) -> None:
    grey = RNG.integers(0, 1 << 16, (6, 6), dtype=np.uint16)
    (tmp_path / "x.tif").write_bytes(tiff(grey))
    expected = np.asarray(decode(tmp_path / "x.tif"))
    np.testing.assert_array_equal(Bands(1, 1, 1).rgb(tmp_path / "x.tif"), expected)


def test_floats_need_a_range() -> None:
    values = np.asarray([[-1.0, 0.0, 0.5], [1.0, 2.0, np.nan]], np.float32)
    source = tiff(values)
    with pytest.raises(UnreadableImageError, match=r"values of float32 .* from -1 to 2"):
        Bands(1, 1, 1).rgb(source)
    shown = Bands(1, 1, 1, 0, 1).rgb(source)[..., 0]
    assert shown.tolist() == [[0, 0, 128], [255, 255, 0]]


@settings(max_examples=40, deadline=None)
@given(
    low=st.integers(-1000, 1000),
    width=st.integers(1, 70_000),
    values=st.lists(st.integers(-40_000, 40_000), min_size=1, max_size=20),
)
def test_a_range_is_linear_monotone_and_clipped(low: int, width: int, values: list[int]) -> None:
    pixels = np.asarray(sorted(values), np.int32)[None]
    shown = Bands(1, 1, 1, low, low + width).rgb(pixels)[0, :, 0].astype(int)
    assert (np.diff(shown) >= 0).all()
    assert (shown[pixels[0] <= low] == 0).all()
    assert (shown[pixels[0] >= low + width] == 255).all()
    exact = np.clip((pixels[0] - low) * 255 / width, 0, 255)
    assert np.abs(shown - exact).max() <= 0.5


# Pillow warns of what is cut off before it raises.
@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_bands_that_are_not_there() -> None:
    with pytest.raises(UnreadableImageError, match="it has 6 bands of 7 x 5 pixels, and no band 8"):
        Bands(8, 3, 2, 0, 1).rgb(SIX)
    with pytest.raises(UnreadableImageError, match=r"no such file|No such file"):
        Bands().rgb(Path("none.tif"))
    with pytest.raises(UnreadableImageError, match="neither TIFF nor"):
        Bands().rgb(b"no image at all")
    with pytest.raises(UnreadableImageError, match=r"a damaged TIFF|cannot read image"):
        Bands().rgb(tiff(SIX, planarconfig="contig")[:60])
    with pytest.raises(UnreadableImageError, match="is no image with bands"):
        Bands().rgb(np.zeros((2, 2, 2, 2), np.uint8))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("4,3",), "cannot read bands '4,3'"),
        (("a,b,c",), "cannot read bands 'a,b,c'"),
        (("1,2,3", "0"), "range '0'"),
        (("0,1,2",), "counted from 1, got 0,1,2"),
        (("1", "5,5"), "range of values from 5 to 5 is empty"),
    ],
)
def test_what_cannot_be_meant(arguments: tuple[str, ...], match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        Bands.parse(*arguments)
    with pytest.raises(InvalidInputError, match="both ends"):
        Bands(low=3)


def test_what_is_said_is_said_again() -> None:
    for bands, value_range in (("4,3,2", "0,3000"), ("1,1,1", None)):
        chosen = Bands.parse(bands, value_range)
        assert chosen.options == {"bands": bands, "range": value_range}
    assert Bands.parse("2") == Bands(2, 2, 2)
