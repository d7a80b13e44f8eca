"""A store of real photos, clean and corrupted, seen by two small networks with seeded weights."""

from __future__ import annotations

from pathlib import Path

import featstore as fs
from featstore.store import FeatureStore

NETS = ("a=random/resnet18?size=64", "b=random/resnet18?size=64&seed=1")


def make_corrupted_store(photos: Path, path: Path) -> FeatureStore:
    """Features a and b of clean images, and of JPEG 10 and of downsampled ones."""
    corrupt = ("clean", "jpeg10", "downsample4")
    return fs.extract(photos, NETS, path, corrupt=corrupt, batch_size=100).store
