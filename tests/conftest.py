"""Fixtures that many tests share: real images and small stores."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photo_crops import write_crops
from PIL import Image
from small_store import fill, make_samples

from featstore.samples import Samples
from featstore.store import FeatureStore

# As the command line does, and before anything loads OpenMP: see featstore/cli/main.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_collection() -> None:
    # Imports make millions of objects, none of them garbage.
    gc.disable()


def pytest_collection_finish() -> None:
    # Neither are they later: without this, every full collection looks at all of them again.
    gc.freeze()
    gc.enable()


CLOTHING = REPOSITORY.parent / "shared" / "data" / "clothing"


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 300 real photos in classes and splits, on any machine.

    One shard of 256 rows, and one that is short.
    """
    root = tmp_path_factory.mktemp("photos")
    if CLOTHING.is_dir():
        for path in sorted(CLOTHING.glob("*/*/*.jpg"))[::4][:300]:
            link = root / path.relative_to(CLOTHING)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    else:
        write_crops(root, 300)
    return root


@pytest.fixture(scope="session")
def few_photos(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of every fifth of them, with long sides of 160 pixels."""
    root = tmp_path_factory.mktemp("few_photos")
    for path in sorted(photos.glob("*/*/*.jpg"))[::5]:
        small = root / path.relative_to(photos)
        small.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as photo:
            photo.thumbnail((160, 160))
            photo.save(small)
    return root


@pytest.fixture(scope="session")
def clothing() -> Path:
    """Return the folder of 1,272 real photos, or skip where it is not at hand."""
    folder = CLOTHING
    if not folder.is_dir():
        pytest.skip("the clothing photos are not beside this checkout")
    return folder


@pytest.fixture
def new_store(tmp_path: Path) -> Callable[..., FeatureStore]:
    """Return a function that makes a store with features given as keyword arguments."""

    def make(n: int = 1000, *, samples: Samples | None = None, **features: object) -> FeatureStore:
        if samples is None:
            samples = make_samples(n)
        store = FeatureStore.create(tmp_path / "s.zarr", samples)
        for name, X in features.items():
            fill(store, name, np.asarray(X, np.float32))
        return store

    return make
