"""Jpeg: the blocks and rings of strong compression."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar

from featstore.errors import InvalidInputError
from featstore.images import decode

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Jpeg:
    """Save as JPEG with ``PIL.Image.save`` and read again (Cole et al. 2022, C.5: quality 10).

    Attributes
    ----------
    quality
        Of Pillow's encoder, 1 to 100.

    Raises
    ------
    InvalidInputError
        If the quality is out of range.

    Examples
    --------
    >>> from PIL import Image
    >>> corrupted = Jpeg().apply(Image.linear_gradient("L").convert("RGB"), "a.png")
    >>> corrupted.size, Jpeg().label
    ((256, 256), 'jpeg10')
    """

    name: ClassVar[str] = "jpeg"

    quality: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise InvalidInputError(f"the quality of a JPEG is 1 to 100, got {self.quality}")

    @property
    def label(self) -> str:
        """See `Corruption`."""
        return f"jpeg{self.quality}"

    def encode(self, image: Image.Image) -> bytes:
        """Return the JPEG file whose pixels are those of `apply`."""
        file = BytesIO()
        image.save(file, "JPEG", quality=self.quality)
        return file.getvalue()

    def apply(self, image: Image.Image, identity: str) -> Image.Image:
        """Return the image as it comes back; see `Corruption`."""
        return decode(self.encode(image))
