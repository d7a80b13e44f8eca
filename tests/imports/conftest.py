"""Features of thirty images, as other tools would hand them over."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featstore.imports.foreign import ForeignFeatures
from featstore.imports.formats import read_source

N, DIM = 30, 8


@pytest.fixture(name="X")
def features() -> NDArray[np.float32]:
    return np.random.default_rng(7).standard_normal((N, DIM)).astype(np.float32)


@pytest.fixture
def ids() -> list[str]:
    return [f"ü/{i:03d}.jpg" for i in range(N)]


@pytest.fixture
def y() -> NDArray[np.int64]:
    return np.arange(N) % 3


@pytest.fixture
def read() -> Callable[..., ForeignFeatures]:
    """Return a function that reads a file with its columns."""

    def read(path: Path, *, form: str | None = None, key: str | None = None, **columns: Any) -> Any:
        return ForeignFeatures.from_source(
            read_source(path, form=form, key=key), path.name, **columns
        )

    return read


@pytest.fixture
def values() -> Callable[[ForeignFeatures], NDArray[Any]]:
    """Return a function that reads all values, in uneven pieces as an import may ask for."""

    def values(foreign: ForeignFeatures) -> NDArray[Any]:
        n = len(foreign)
        cuts = [0, n // 5, n // 5, n // 2, n]
        parts = [foreign.values.take(np.arange(a, b)) for a, b in itertools.pairwise(cuts)]
        again = foreign.values.take(np.arange(0, n, 3))
        whole = np.concatenate(parts)
        np.testing.assert_array_equal(again, whole[::3])
        return whole

    return values
