"""A store of digits, and copies of it that studies may fill with runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from digits_store import make_digits_store

import featstore as fs
from featstore.store import FeatureStore


@pytest.fixture(scope="session")
def digits_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = make_digits_store(tmp_path_factory.mktemp("study") / "d.zarr", val=100)
    fs.draw_subsets(store, fs.SizeDraws((200,)))
    return store.path


@pytest.fixture
def store(digits_only: Path, tmp_path: Path) -> FeatureStore:
    shutil.copytree(digits_only, tmp_path / "d.zarr")
    return FeatureStore.open(tmp_path / "d.zarr")


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a study of the store beside it."""

    def write(text: str) -> Path:
        path = tmp_path / "study.toml"
        path.write_text(f'stores = ["d.zarr"]\n{text}')
        return path

    return write
