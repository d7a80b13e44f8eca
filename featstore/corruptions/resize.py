"""Resize: the short side gets a fixed number of pixels, by nearest neighbour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featstore.errors import InvalidInputError
from featstore.images import resize_short_side

if TYPE_CHECKING:
    from PIL import Image

#: Cole et al. 2022, appendix C.5.
SHORT_SIDE = 256


@dataclass(frozen=True)
class Resize:
    """Resize to a short side of 256 pixels with the nearest neighbour (Cole et al. 2022, C.5).

    The long side is rounded down.  Smaller images grow.

    Attributes
    ----------
    short
        Pixels of the short side.

    Raises
    ------
    InvalidInputError
        If `short` is below 1.

    Examples
    --------
    >>> from PIL import Image
    >>> Resize().apply(Image.new("RGB", (400, 533)), "a.jpg").size, Resize().label
    ((256, 341), 'resize256')
    """

    name: ClassVar[str] = "resize"

    short: int = SHORT_SIDE

    def __post_init__(self) -> None:
        if self.short < 1:
            raise InvalidInputError(f"a short side has at least 1 pixel, got {self.short}")

    @property
    def label(self) -> str:
        """See `Corruption`."""
        return f"resize{self.short}"

    def apply(self, image: Image.Image, identity: str) -> Image.Image:
        """Return the resized image; see `Corruption`."""
        return resize_short_side(image, self.short, "nearest")
