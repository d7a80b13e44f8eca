"""Bands: which channels of an image are red, green and blue, and what range they cover.

What `featstore.images` decodes by itself has one obvious reading.  Satellite and microscope images
have not: a TIFF of 13 bands, reflectances of 0 to 10,000, floats.  Here the user says what is
meant.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.images import ImageSource
from featstore.optional import import_optional

#: First bytes of TIFF and BigTIFF, little- and big-endian.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: TIFF's tag BitsPerSample.
_BITS = 258
_NPY = b"\x93NUMPY"


@dataclass(frozen=True)
class Bands:
    """A choice of bands and the range of values that is shown.

    Attributes
    ----------
    red, green, blue
        Numbers of the bands, counted from 1 as GDAL does.  The same number three times is grey.
    low, high
        Values that become 0 and 255; what lies between is linear, what lies outside is clipped,
        NaN becomes 0.  By default the whole range of unsigned integers (16 bits by ``>> 8``, as
        `featstore.images` does); other numbers have no known range and need one.

    Raises
    ------
    InvalidInputError
        If a number is below 1, or the range is empty or has one end.

    Examples
    --------
    >>> pixels = np.arange(12, dtype=np.uint16).reshape(1, 2, 6) * 1000
    >>> Bands(4, 3, 2, low=0, high=10_000).rgb(pixels).tolist()
    [[[76, 51, 26], [230, 204, 178]]]
    """

    red: int = 1
    green: int = 2
    blue: int = 3
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if min(self.numbers) < 1:
            raise InvalidInputError(
                f"bands are counted from 1, got {','.join(map(str, self.numbers))}"
            )
        if (self.low is None) != (self.high is None):
            raise InvalidInputError("a range of values needs both ends: low and high")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise InvalidInputError(
                f"the range of values from {self.low:g} to {self.high:g} is empty"
            )

    @classmethod
    def parse(cls, bands: str = "1,2,3", value_range: str | None = None) -> Bands:
        """Read what a command line says.

        Parameters
        ----------
        bands
            One number (grey) or three, with commas between them.
        value_range
            ``LOW,HIGH``.

        Raises
        ------
        InvalidInputError
            If these are no such numbers.

        Examples
        --------
        >>> Bands.parse("4,3,2", "0,3000")
        Bands(red=4, green=3, blue=2, low=0.0, high=3000.0)
        """
        try:
            numbers = [int(number) for number in bands.split(",")]
            ends = [] if value_range is None else [float(end) for end in value_range.split(",")]
        except ValueError:
            numbers, ends = [], []
        if len(numbers) not in (1, 3) or len(ends) not in (0, 2):
            given = f"bands {bands!r}" + ("" if value_range is None else f", range {value_range!r}")
            raise InvalidInputError(
                f"cannot read {given}; expected the numbers of one or three bands, as in 4,3,2, "
                "and a range as in 0,3000"
            )
        red, green, blue = numbers * 3 if len(numbers) == 1 else numbers
        return cls(red, green, blue, *ends)

    def __str__(self) -> str:
        shown = "" if self.low is None else f" from {self.low:g} to {self.high:g}"
        return f"bands {','.join(map(str, self.numbers))}{shown}"

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Bands of red, green and blue, from 1."""
        return self.red, self.green, self.blue

    @property
    def options(self) -> dict[str, str | None]:
        """Options of `featstore extract` that give this choice."""
        return {
            "bands": ",".join(map(str, self.numbers)),
            "range": None if self.low is None else f"{self.low:g},{self.high:g}",
        }

    def rgb(self, source: ImageSource) -> NDArray[np.uint8]:
        """Read an image and show these of its bands.

        Parameters
        ----------
        source
            A TIFF or NumPy (``.npy``) file of any number of bands, any other image, or an array of
            shape (h, w) or (h, w, bands).

        Returns
        -------
        pixels
            Shape (h, w, 3), uint8.

        Raises
        ------
        UnreadableImageError
            If the file cannot be read, lacks a band, or its numbers have no known range.
        MissingDependencyError
            If it is a TIFF and tifffile is not installed.
        """
        name = _name(source)
        pixels = self.read(source)
        if max(self.numbers) > pixels.shape[2]:
            raise UnreadableImageError(
                f"cannot read image {name}: it has {pixels.shape[2]} bands of "
                f"{pixels.shape[0]} x {pixels.shape[1]} pixels, and no band {max(self.numbers)}"
            )
        return self._scaled(pixels[..., np.asarray(self.numbers) - 1], name)

    @staticmethod
    def read(source: ImageSource) -> NDArray[Any]:
        """Read all bands of an image as they are.

        Returns
        -------
        pixels
            Shape (h, w, bands).

        Raises
        ------
        UnreadableImageError, MissingDependencyError
            As `rgb`.
        """
        return _read(source, _name(source))

    def _scaled(self, pixels: NDArray[Any], name: str) -> NDArray[np.uint8]:
        if self.low is None or self.high is None:
            if pixels.dtype == np.uint8:
                return np.ascontiguousarray(pixels)
            if pixels.dtype == np.uint16:
                return (pixels >> 8).astype(np.uint8)
            raise UnreadableImageError(
                f"cannot read image {name}: values of {pixels.dtype} have no known range; give one "
                f"(here they go from {np.nanmin(pixels):g} to {np.nanmax(pixels):g})"
            )
        shown = (pixels.astype(np.float64) - self.low) * 255 / (self.high - self.low)
        return np.rint(np.clip(np.nan_to_num(shown, nan=0.0), 0, 255)).astype(np.uint8)


def _name(source: ImageSource) -> str:
    if isinstance(source, str | os.PathLike):
        return repr(os.fspath(source))
    return f"of {len(source)} bytes" if isinstance(source, bytes) else "in memory"


def _read(source: ImageSource, name: str) -> NDArray[Any]:
    """Return all bands, shape (h, w, bands)."""
    try:
        if isinstance(source, np.ndarray | Image.Image):
            pixels = np.asarray(source)
        elif isinstance(source, str | os.PathLike):
            with Path(source).open("rb") as file:
                pixels = _decode(file)
        else:
            pixels = _decode(BytesIO(source) if isinstance(source, bytes) else source)
    except UnidentifiedImageError:
        raise UnreadableImageError(
            f"cannot read image {name}: neither TIFF nor .npy nor of a format that Pillow knows"
        ) from None
    except (OSError, ValueError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableImageError(f"cannot read image {name}: {reason}") from error
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.size == 0:
        raise UnreadableImageError(
            f"cannot read image {name}: an array of shape {pixels.shape} is no image with bands"
        )
    return pixels


def _decode(file: BinaryIO) -> NDArray[Any]:
    start = file.read(6)
    file.seek(0)
    if start.startswith(_NPY):
        return np.asarray(np.load(file, allow_pickle=False))
    if start.startswith(_TIFF):
        return _tiff(file)
    with Image.open(file) as image:
        return np.asarray(image)


def _tiff(file: BinaryIO) -> NDArray[Any]:
    """Read the first image of a TIFF; its bands are samples of a page, or pages of one size."""
    try:
        with Image.open(file) as image:
            one = isinstance(image, TiffImageFile) and image.n_frames == 1
            if one and set(image.tag_v2.get(_BITS, (1,))) == {8}:  # type: ignore[attr-defined]
                # Up to four bands of 8 bits Pillow reads as they are, whatever the compression.
                return np.asarray(image)
    except UnidentifiedImageError:
        pass
    file.seek(0)
    tifffile = import_optional("tifffile", extra="tiff")
    try:
        with tifffile.TiffFile(file) as tiff:
            series = tiff.series[0]
            axes, pixels = series.axes, np.asarray(series.asarray())
    except (tifffile.TiffFileError, IndexError, KeyError) as error:
        raise ValueError(f"a damaged TIFF ({error})") from error
    others = [axis for axis in axes if axis not in "YX"]
    if axes.count("Y") != 1 or axes.count("X") != 1 or len(others) > 1:
        raise ValueError(f"axes {axes} of shape {pixels.shape} are not height, width and bands")
    order = [axes.index("Y"), axes.index("X"), *(axes.index(axis) for axis in others)]
    return pixels.transpose(order)
