"""Corruption: the protocol that every artifact fulfils."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from PIL import Image


class Corruption(Protocol):
    """An artifact with all its parameters; a frozen dataclass, so that equal ones are one.

    Attributes
    ----------
    name
        Of the kind of artifact, in documents.
    label
        Short name with the parameters, such as ``"jpeg10"``; `parse_corruption` reads it.
    """

    name: ClassVar[str]

    @property
    def label(self) -> str:
        """See `Corruption`."""
        ...

    def apply(self, image: Image.Image, identity: str) -> Image.Image:
        """Return a corrupted copy.

        Parameters
        ----------
        image
            8-bit RGB, as `featstore.images.decode` returns it.
        identity
            The image's id, which random corruptions are seeded by.
        """
        ...
