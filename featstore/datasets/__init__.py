"""Sources of images: each becomes a `featstore.dataset.Dataset`."""

from featstore.datasets.folder import ImageFolder
from featstore.datasets.table import ImageTable

__all__ = ["ImageFolder", "ImageTable"]
