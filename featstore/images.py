"""Images: from an encoded file to the square of pixels that a `Transform` describes.

Pixels are those of torchvision's ``ImageFolder`` followed by its ``Resize`` and ``CenterCrop`` on
PIL images, bit for bit; nothing here needs torch.  Rules where peers differ:

- EXIF orientation is not applied, as in PIL and torchvision (OpenCV and torchcodec apply it).
- Alpha is dropped, not composited; a palette with transparency goes through RGBA first.
- 16-bit grey, whose convert("RGB") PIL clips to white, is scaled to 8 bit by ``>> 8``.
- 32-bit float images have no known range and are refused.
- Of an animation or a multi-page file, the first frame counts.
- Of files with more or other bands than these, `featstore.bands.Bands` says which are meant.
"""

from __future__ import annotations

import errno
import os
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.transform import Interpolation, Transform

#: A file, its encoded bytes, or pixels: uint8 or uint16, (h, w) or (h, w, 1, 3 or 4 channels).
ImageSource = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | NDArray[Any]
#: Those of them that can be decoded more than once; the rest are streams.
READ_AGAIN = (str, os.PathLike, bytes, Image.Image, np.ndarray)

_FILTERS: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
#: Too many open files, a failing disk: the image may be fine, and must not be excluded for it.
_NO_FAULT_OF_THE_IMAGE = (errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM)
#: Of a resized image before its crop; only extreme aspect ratios come near.
_MOST_PIXELS = 1 << 27


def load_pixels(source: ImageSource, transform: Transform) -> NDArray[np.uint8]:
    """Decode an image and apply a transform's geometry.

    Parameters
    ----------
    source
        See `decode`.
    transform
        The geometry; its normalisation is left to the encoder.

    Returns
    -------
    pixels
        RGB, shape (size, size, 3), uint8.

    Raises
    ------
    UnreadableImageError
        As `decode`.
    """
    return apply(decode(source), transform)


def decode(source: ImageSource, *, smallest: int | None = None) -> Image.Image:
    r"""Decode an image to 8-bit RGB; once, for any number of transforms.

    Parameters
    ----------
    source
        A path, the encoded bytes, a binary file, or pixels that are decoded already: an image of
        Pillow's, or uint8 or uint16 of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4).
    smallest
        Decode JPEG files at a reduced scale, as long as the short side keeps so many pixels; see
        `featstore.fast_images`.

    Raises
    ------
    UnreadableImageError
        If the file is missing, empty, truncated, too large to be honest or not an image.

    Examples
    --------
    >>> decode(b"P6 2 1 255 \x01\x02\x03\x04\x05\x06").getpixel((1, 0))
    (4, 5, 6)
    """
    try:
        if isinstance(source, Image.Image):
            return _rgb(source)
        if isinstance(source, np.ndarray):
            return _rgb(_from_array(source))
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            if smallest is not None:
                image.draft("RGB", (smallest, smallest))
            return _rgb(image)
    except MemoryError:
        raise
    except OSError as error:
        if error.errno in _NO_FAULT_OF_THE_IMAGE:
            raise
        reason = _reason(source, error)
        raise UnreadableImageError(f"cannot read image {_label(source)}: {reason}") from error
    except Exception as error:  # Pillow's decoders raise almost anything on damaged data
        reason = _reason(source, error)
        raise UnreadableImageError(f"cannot read image {_label(source)}: {reason}") from error


def apply(
    image: Image.Image, transform: Transform, *, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Resize and crop a decoded image.

    "resize-crop": the short side becomes ``resize``, the long one ``int(resize * long / short)``;
    the crop starts at ``round((edge - size) / 2)``, after zero padding where it exceeds the image
    (torchvision's ``Resize`` and ``CenterCrop``).  "crop-resize": the crop's edge is
    ``max(1, round(crop_fraction * short))``, placed in the same way.  Python's ``round`` takes
    halves to the even number, as torchvision's crop does.

    Parameters
    ----------
    image
        8-bit RGB, as `decode` returns it.
    transform
        The geometry.
    out
        Where to write, shape (size, size, 3), uint8.

    Returns
    -------
    pixels
        `out` where given, else a new array.

    Examples
    --------
    >>> apply(Image.new("RGB", (640, 480)), Transform()).shape
    (224, 224, 3)
    """
    if image.mode != "RGB":
        raise InvalidInputError(f"image has mode {image.mode!r}, not 'RGB'; pass it to decode()")
    size, resampling = transform.size, _FILTERS[transform.interpolation]
    if transform.resize is not None:
        image = resize_short_side(image, transform.resize, transform.interpolation)
        image = _center_crop(image, size)
    else:
        if transform.crop_fraction is not None:
            edge = max(1, round(transform.crop_fraction * min(image.size)))
            image = _center_crop(image, edge)
        image = _resize(image, (size, size), resampling)
    if out is None:
        return np.array(image)
    if out.shape != (size, size, 3) or out.dtype != np.uint8:
        raise InvalidInputError(
            f"out must be uint8 of shape {(size, size, 3)}, got {out.dtype} of shape {out.shape}"
        )
    out[:] = np.asarray(image)
    return out


def resize_short_side(image: Image.Image, short: int, interpolation: Interpolation) -> Image.Image:
    """Resize a decoded image so that its short side has `short` pixels; the long one is rounded.

    Raises
    ------
    UnreadableImageError
        If the result would be too large.

    Examples
    --------
    >>> resize_short_side(Image.new("RGB", (640, 480)), 256, "nearest").size
    (341, 256)
    """
    return _resize(image, short_side_to(image.size, short), _FILTERS[interpolation])


def _rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB, by the rules of this module."""
    image.load()
    if image.mode == "RGB":
        # After load() the pixels are in memory and the file may be closed.
        return image.copy() if image.readonly else image
    if image.mode == "F":
        raise ValueError(
            "32-bit float pixels have no known range; scale them to [0, 255] and save as 8 bit"
        )
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError(
                f"integer pixels from {values.min()} to {values.max()} do not fit 16 bits; "
                "scale them and save as 8 or 16 bit"
            )
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("P", "PA") and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _from_array(pixels: NDArray[Any]) -> Image.Image:
    """Take pixels for an image as a file of the same kind would be."""
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"pixels of {pixels.dtype} have no known range; scale them to [0, 255] and pass uint8"
        )
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise ValueError(
            f"pixels of shape {pixels.shape} are no image; expected (h, w), (h, w, 1), (h, w, 3) "
            "or (h, w, 4)"
        )
    if pixels.size == 0:
        raise ValueError(f"there are no pixels in shape {pixels.shape}")
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels))


def short_side_to(size: tuple[int, int], short: int) -> tuple[int, int]:
    """Width and height once the short side has `short` pixels, as torchvision rounds them.

    Examples
    --------
    >>> short_side_to((640, 480), 256)
    (341, 256)
    """
    width, height = size
    long = int(short * max(size) / min(size))
    return (short, long) if width <= height else (long, short)


def _resize(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    check_area(image.size, size)
    return image if image.size == size else image.resize(size, resampling)


def _center_crop(image: Image.Image, size: int) -> Image.Image:
    """Cut the central square of `size` pixels; what lies outside the image is black."""
    left, top = (center_offset(edge, size) for edge in image.size)
    return image.crop((left, top, left + size, top + size))


def check_area(size: tuple[int, int], resized: tuple[int, int]) -> None:
    """Refuse to resize an image to more pixels than memory should be asked for.

    Raises
    ------
    UnreadableImageError
        Saying both sizes, widths and heights.
    """
    if resized[0] * resized[1] > _MOST_PIXELS:
        raise UnreadableImageError(
            f"an image of {size[0]} x {size[1]} pixels would be resized to "
            f"{resized[0]} x {resized[1]}; crop it"
        )


def center_offset(edge: int, size: int) -> int:
    """Where a crop of `size` starts along an axis of `edge` pixels; negative means padding.

    Examples
    --------
    >>> center_offset(341, 224), center_offset(224, 226)
    (58, -1)
    """
    if size > edge:
        return -((size - edge) // 2)
    return round((edge - size) / 2)


def _label(source: ImageSource) -> str:
    if isinstance(source, bytes):
        return f"of {len(source)} bytes"
    if isinstance(source, np.ndarray):
        return f"of shape {source.shape}"
    if isinstance(source, str | os.PathLike):
        return repr(os.fspath(source))
    return repr(getattr(source, "name", source))


def _reason(source: ImageSource, error: Exception) -> str:
    """Say in one line what was wrong."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(source, str | os.PathLike) and Path(source).is_dir():
        return "it is a folder"
    if _is_empty(source):
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or of a format that Pillow does not know"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"{error} Raise PIL.Image.MAX_IMAGE_PIXELS if the file is to be trusted"
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()) or type(error).__name__


def _is_empty(source: ImageSource) -> bool:
    if isinstance(source, bytes):
        return not source
    if isinstance(source, str | os.PathLike):
        return Path(source).is_file() and Path(source).stat().st_size == 0
    return False
