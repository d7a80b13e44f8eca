"""Dataset: the protocol that every source of images fulfils."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from featstore.images import ImageSource
from featstore.samples import Samples


@runtime_checkable
class Dataset(Protocol):
    """Images with ids, splits and labels.

    Attributes
    ----------
    samples
        The row table.
    source
        JSON-able description of where the images come from, for provenance.  ``"root"``, where
        there is one, is the folder that ids are relative to; ``"place"`` and ``"options"`` are what
        `featstore extract` is given to open it again.
    """

    @property
    def samples(self) -> Samples: ...

    @property
    def source(self) -> Mapping[str, Any]: ...

    def image(self, row: int) -> ImageSource:
        """Return an image's file, its encoded bytes or its pixels; called from several threads."""
        ...
