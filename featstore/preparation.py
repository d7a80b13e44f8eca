"""Preparation: what is done to a decoded image before a backbone sees it."""

from __future__ import annotations

from dataclasses import dataclass

from featstore.corruptions import Corruption
from featstore.transform import Transform


@dataclass(frozen=True)
class Preparation:
    """A corruption, then a transform: the backbone's crop and resize see the corrupted image.

    Attributes
    ----------
    transform
        From the (corrupted) image to the square of pixels.
    corruption
        Of the decoded image at its full size; None leaves it as it is.
    """

    transform: Transform
    corruption: Corruption | None = None
