"""Preparation: what is done to an encoded image before a backbone sees it."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featstore.corruptions import Corruption
from featstore.errors import InvalidInputError
from featstore.fast_images import apply_fast, smallest_side
from featstore.images import READ_AGAIN, ImageSource, apply, decode
from featstore.transform import Transform


@dataclass(frozen=True)
class Preparation:
    """A corruption, then a transform: the backbone's crop and resize see the corrupted image.

    Attributes
    ----------
    transform
        From the (corrupted) image to the square of pixels; it also says how to decode.
    corruption
        Of the decoded image at its full size; None leaves it as it is.

    Raises
    ------
    InvalidInputError
        If images at a reduced scale, or those that a device decodes, would be corrupted.
    """

    transform: Transform
    corruption: Corruption | None = None

    def __post_init__(self) -> None:
        if self.corruption is None or self.transform.decode in ("exact", "fast"):
            return
        what = "reduces it" if smallest_side(self.transform) is not None else "keeps that to itself"
        raise InvalidInputError(
            f"corruption {self.corruption.label!r} is of images of full size, and "
            f"decode={self.transform.decode!r} {what}; use --decode exact or fast"
        )


def prepare(
    source: ImageSource, identity: str, places: Mapping[Preparation, NDArray[np.uint8]]
) -> None:
    r"""Decode an image, once, and prepare it in every way that is wanted.

    Parameters
    ----------
    source
        The image.
    identity
        Its id, which randomness of corruptions depends on.
    places
        Where to write the pixels of each preparation, shape (size, size, 3).

    Raises
    ------
    UnreadableImageError
        If the image cannot be decoded.

    Examples
    --------
    >>> place = np.ones((4, 4, 3), np.uint8)
    >>> transform = Transform(geometry="squash", resize=None, size=4)
    >>> prepare(b"P6 1 1 255 \x07\x08\x09", "x", {Preparation(transform): place})
    >>> place[0, 0].tolist()
    [7, 8, 9]
    """
    decoded = _decoded(source, {smallest_side(one.transform) for one in places})
    corrupted: dict[Corruption, Image.Image] = {}
    for one, place in places.items():
        image = decoded[smallest_side(one.transform)]
        if one.corruption is not None:
            if one.corruption not in corrupted:
                corrupted[one.corruption] = one.corruption.apply(image, identity)
            image = corrupted[one.corruption]
        if one.transform.decode == "exact":
            apply(image, one.transform, out=place)
        else:
            apply_fast(image, one.transform, out=place)


def _decoded(source: ImageSource, sizes: Set[int | None]) -> dict[int | None, Image.Image]:
    """Decode an image as it is, and at the reduced scales that are wanted."""
    if len(sizes) > 1 and not isinstance(source, READ_AGAIN):
        source = source.read()  # once: there may be no way back in a stream
    return {smallest: decode(source, smallest=smallest) for smallest in sizes}
