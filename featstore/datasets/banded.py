"""Images of another data set, of which chosen bands are shown."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.bands import Bands
from featstore.dataset import Dataset
from featstore.samples import Samples


class BandedImages:
    """A data set whose images are shown through `featstore.bands.Bands`.

    The choice belongs to the data set, as labels do: other bands are other samples, and another
    store.  That is what the marks see to.

    Parameters
    ----------
    dataset
        Any other; its images may have any number of bands.
    bands
        Which of them are red, green and blue.
    """

    def __init__(self, dataset: Dataset, bands: Bands) -> None:
        self._dataset = dataset
        self._bands = bands
        samples = dataset.samples
        marks = samples.marks if samples.marks is not None else np.zeros(len(samples), np.uint64)
        # File sizes stay below 2^32; the upper half tells the choices apart.
        choice = np.uint64(zlib.crc32(str(bands).encode()) << 32)
        self.samples: Samples = dataclasses.replace(samples, marks=marks ^ choice)
        options = dataset.source.get("options", {})
        chosen = {key: value for key, value in bands.options.items() if value is not None}
        self.source: Mapping[str, Any] = {**dataset.source, "options": {**options, **chosen}}

    def image(self, row: int) -> NDArray[np.uint8]:
        """Read an image and show the chosen bands, shape (h, w, 3)."""
        return self._bands.rgb(self._dataset.image(row))
