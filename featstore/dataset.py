"""Dataset: the protocol that every source of images fulfils."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from featstore.samples import Samples


class Dataset(Protocol):
    """Images with ids, splits and labels.

    Attributes
    ----------
    samples
        The row table.
    source
        JSON-able description of where the images come from, for provenance.
    """

    @property
    def samples(self) -> Samples: ...

    @property
    def source(self) -> Mapping[str, Any]: ...

    def image(self, row: int) -> Path | bytes:
        """Return an image's file, or its encoded bytes."""
        ...
