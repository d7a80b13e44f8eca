"""Fixtures that many tests share: real images and small stores."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photo_crops import write_crops
from small_store import fill, make_samples

from featstore.samples import Samples
from featstore.store import FeatureStore

# As the command line does, and before anything loads OpenMP: see featstore/cli/main.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

REPOSITORY = Path(__file__).resolve().parents[1]


CLOTHING = REPOSITORY.parent / "shared" / "data" / "clothing"


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 600 real photos in classes and splits, on any machine."""
    root = tmp_path_factory.mktemp("photos")
    if CLOTHING.is_dir():
        for path in sorted(CLOTHING.glob("*/*/*.jpg"))[::2][:600]:
            link = root / path.relative_to(CLOTHING)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    else:
        write_crops(root, 600)
    return root


@pytest.fixture(scope="session")
def few_photos(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of every tenth of them."""
    root = tmp_path_factory.mktemp("few_photos")
    for path in sorted(photos.glob("*/*/*.jpg"))[::10]:
        link = root / path.relative_to(photos)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
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
