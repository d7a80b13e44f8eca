"""Real photos for small folders in the layouts that data sets are published in."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def put(photos: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that puts real photos below a folder, under the names of a layout."""
    found: Iterator[Path] = itertools.cycle(sorted(photos.rglob("*.jpg")))

    def place(*names: str, root: Path = tmp_path) -> Path:
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(next(found), path)
        return root

    return place
