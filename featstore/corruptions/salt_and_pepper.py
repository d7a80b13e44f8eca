"""SaltAndPepper: single values that are black or white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from featstore.corruptions.image_seed import image_seed
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class SaltAndPepper:
    """Set values to 0 or 255, each pixel in each channel by itself (Cole et al. 2022, C.5).

    Both are equally likely.  Draws are the raw output of PCG64, whose stream NumPy keeps: 53 bits
    decide whether a value is hit, another one which way, so that the values hit at a smaller
    probability are among those hit at a larger one.

    Attributes
    ----------
    p
        Probability of a value to be hit.
    seed
        Another seed, other values.

    Raises
    ------
    InvalidInputError
        If `p` is no probability, or the seed negative.

    Examples
    --------
    >>> from PIL import Image
    >>> noisy = np.asarray(SaltAndPepper(0.5).apply(Image.new("RGB", (9, 9), "gray"), "a.jpg"))
    >>> np.unique(noisy), SaltAndPepper().label
    (array([  0, 128, 255], dtype=uint8), 'salt-pepper0.01')
    """

    name: ClassVar[str] = "salt-pepper"

    p: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.p <= 1 or self.seed < 0:
            raise InvalidInputError(
                f"salt and pepper need a probability in (0, 1] and a seed of at least 0, got "
                f"{self.p} and {self.seed}"
            )

    @property
    def label(self) -> str:
        """See `Corruption`."""
        return f"salt-pepper{self.p:g}" + (f"-seed{self.seed}" if self.seed else "")

    def apply(self, image: Image.Image, identity: str) -> Image.Image:
        """Return the noisy image; see `Corruption`."""
        from PIL import Image

        pixels = np.array(image)  # (height, width, 3)
        generator = np.random.PCG64(image_seed(self.name, self.seed, identity))
        raw = generator.random_raw(pixels.size).reshape(pixels.shape)
        hit = (raw >> np.uint64(11)) < np.uint64(round(self.p * 2**53))
        pixels[hit] = np.where(raw[hit] & np.uint64(1), 255, 0)
        return Image.fromarray(pixels)
