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
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featstore.images import apply, center_offset, check_area, short_side_to
from featstore.transform import Transform

if TYPE_CHECKING:
    from torch import Tensor

#: Those that torch has.
FILTERS = ("bilinear", "bicubic")
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
    if transform.interpolation not in FILTERS:
        return apply(image, transform, out=out)
    import torch  # here: most of what reads images needs none

    pixels = torch.from_numpy(np.array(image))  # torch wants to be able to write
    square = fit(pixels.permute(2, 0, 1), transform).permute(1, 2, 0).numpy()
    if out is None:
        return np.ascontiguousarray(square)
    out[:] = square
    return out


def fit(image: Tensor, transform: Transform, *, in_floats: bool = False) -> Tensor:
    """Resize and crop pixels on the device where they are.

    Parameters
    ----------
    image
        8-bit RGB, shape (3, h, w).
    transform
        The geometry, with a filter that torch has.
    in_floats
        Resize in float32 and round, as devices without kernels for uint8 have to.

    Returns
    -------
    square
        Shape (3, size, size), uint8.

    Raises
    ------
    UnreadableImageError
        If the resized image would be too large.

    Examples
    --------
    >>> import torch
    >>> fit(torch.zeros(3, 480, 640, dtype=torch.uint8), Transform()).shape
    torch.Size([3, 224, 224])
    """
    size = transform.size
    if transform.resize is not None:
        height, width = image.shape[1:]
        short = short_side_to((width, height), transform.resize)
        return _center(_resize(image, short, transform, in_floats=in_floats), size)
    if transform.crop_fraction is not None:
        image = _center(image, max(1, round(transform.crop_fraction * min(image.shape[1:]))))
    return _resize(image, (size, size), transform, in_floats=in_floats)


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
    image: Tensor, size: tuple[int, int], transform: Transform, *, in_floats: bool
) -> Tensor:
    """Resize to `size`, width and height, antialiased."""
    import torch

    height, width = image.shape[1:]
    if size == (width, height):
        return image
    check_area((width, height), size)
    if not in_floats:
        return _interpolate(image, size, transform)
    # Pillow, too, rounds in between; a filter that overshoots is clamped there.
    for edges in ((size[0], height), size):
        image = _interpolate(image.float(), edges, transform)
        image = image.round_().clamp_(0, 255).to(torch.uint8)
    return image


def _interpolate(image: Tensor, size: tuple[int, int], transform: Transform) -> Tensor:
    import torch

    return torch.nn.functional.interpolate(
        image[None], size=size[::-1], mode=transform.interpolation, antialias=True
    )[0]


def _center(image: Tensor, size: int) -> Tensor:
    """Cut the central square of `size` pixels; what lies outside the image is black."""
    top, left = (center_offset(edge, size) for edge in image.shape[1:])
    inside = image[:, max(top, 0) : top + size, max(left, 0) : left + size]
    if inside.shape[1:] == (size, size):
        return inside
    square = image.new_zeros((3, size, size))
    top, left = max(-top, 0), max(-left, 0)
    square[:, top : top + inside.shape[1], left : left + inside.shape[2]] = inside
    return square
