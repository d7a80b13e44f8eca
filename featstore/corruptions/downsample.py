"""Downsample: fewer pixels, shown at the old size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featstore.corruptions.resize import SHORT_SIDE, Resize
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Downsample:
    """Resize, then shrink by a factor and enlarge again, by nearest neighbour (C.5).

    The first resize makes the factor mean the same for images of all sizes.  Edges of the small
    image are rounded down; the enlarged one has the size that it had before it was shrunk.

    Attributes
    ----------
    factor
        Of both edges; the paper's are 2 and 4.
    short
        Pixels of the short side after the first resize.

    Raises
    ------
    InvalidInputError
        If `factor` is below 2, or `short` below it.

    Examples
    --------
    >>> from PIL import Image
    >>> Downsample(4).apply(Image.new("RGB", (400, 533)), "a.jpg").size, Downsample(4).label
    ((256, 341), 'downsample4')
    """

    name: ClassVar[str] = "downsample"

    factor: int
    short: int = SHORT_SIDE

    def __post_init__(self) -> None:
        if self.factor < 2 or self.short < self.factor:
            raise InvalidInputError(
                "images are downsampled by a factor of at least 2 that leaves a pixel of the short "
                f"side, got a factor of {self.factor} and {self.short} pixels"
            )

    @property
    def label(self) -> str:
        """See `Corruption`."""
        return f"downsample{self.factor}" + (
            f"-short{self.short}" if self.short != SHORT_SIDE else ""
        )

    def apply(self, image: Image.Image, identity: str) -> Image.Image:
        """Return the downsampled image; see `Corruption`."""
        from PIL import Image

        whole = Resize(self.short).apply(image, identity)
        small = (whole.width // self.factor, whole.height // self.factor)
        nearest = Image.Resampling.NEAREST
        return whole.resize(small, nearest).resize(whole.size, nearest)
