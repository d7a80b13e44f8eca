"""Fast images: resized, or decoded at a reduced scale, sooner than exact ones are.

``decode="fast"`` decodes as always and resizes by torch's uint8 kernels, which compute what
Pillow's do and round otherwise: here and there a pixel differs by a level.  Filters that torch
does not have (``nearest``, ``lanczos``) are Pillow's.

``decode="dct"`` also lets libjpeg decode large JPEG files at a half, a quarter or an eighth of
their size, from the low frequencies of each block alone, as long as twice the pixels that the
resize needs are left.  docs/extraction.md says what both do to features.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featstore.images import apply, center_offset, check_area, short_side_to
from featstore.transform import Transform

_FILTERS = ("bilinear", "bicubic")
#: Pixels that a reduced scale must leave, relative to those that the resize makes of them.
_MARGIN = 2


def apply_fast(
    image: Image.Image, transform: Transform, *, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Resize and crop a decoded image; see `featstore.images.apply` for the geometry.

    Parameters
    ----------
    image
        8-bit RGB, as `featstore.images.decode` returns it.
    transform
        The geometry.
    out
        Where to write, shape (size, size, 3), uint8.

    Returns
    -------
    pixels
        `out` where given, else a new array.

    Raises
    ------
    UnreadableImageError
        If the resized image would be too large.

    Examples
    --------
    >>> apply_fast(Image.new("RGB", (640, 480)), Transform()).shape
    (224, 224, 3)
    """
    if transform.interpolation not in _FILTERS:
        return apply(image, transform, out=out)
    size = transform.size
    pixels: NDArray[np.uint8] = np.array(image)  # torch wants to be able to write
    if transform.resize is not None:
        resized = _resize(pixels, short_side_to(image.size, transform.resize), transform)
        square = _center(resized, size)
    else:
        if transform.crop_fraction is not None:
            pixels = _center(pixels, max(1, round(transform.crop_fraction * min(image.size))))
        square = _resize(pixels, (size, size), transform)
    if out is None:
        return np.ascontiguousarray(square)
    out[:] = square
    return out


def smallest_side(transform: Transform) -> int | None:
    """Pixels that the short side of a JPEG file must keep where it is decoded at a reduced scale.

    None where the file is to be decoded as it is.

    Examples
    --------
    >>> smallest_side(Transform(resize=256, decode="dct")), smallest_side(Transform())
    (512, None)
    """
    if transform.decode != "dct":
        return None
    if transform.resize is not None:
        return _MARGIN * transform.resize
    return ceil(_MARGIN * transform.size / (transform.crop_fraction or 1))


def _resize(
    pixels: NDArray[np.uint8], size: tuple[int, int], transform: Transform
) -> NDArray[np.uint8]:
    """Resize to `size`, width and height, antialiased."""
    import torch  # here: most of what reads images needs none

    height, width = pixels.shape[:2]
    if size == (width, height):
        return pixels
    check_area((width, height), size)
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(pixels).permute(2, 0, 1)[None],
        size=size[::-1],
        mode=transform.interpolation,
        antialias=True,
    )
    square: NDArray[np.uint8] = resized[0].permute(1, 2, 0).numpy()
    return square


def _center(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Cut the central square of `size` pixels; what lies outside the image is black."""
    top, left = (center_offset(edge, size) for edge in pixels.shape[:2])
    inside = pixels[max(top, 0) : top + size, max(left, 0) : left + size]
    if inside.shape[:2] == (size, size):
        return inside
    square = np.zeros((size, size, 3), np.uint8)
    top, left = max(-top, 0), max(-left, 0)
    square[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return square
