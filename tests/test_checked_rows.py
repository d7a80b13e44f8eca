"""CheckedRows gives every window of rows, and refuses those with another checksum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_store import fill, make_samples

from featstore.checked_rows import CheckedRows
from featstore.errors import CorruptStoreError
from featstore.feature import FeatureInfo
from featstore.stacked_rows import StackedRows
from featstore.store import FeatureStore

#: Several chunks, the last one of a few rows only.
ROWS, DIM = 2051, 512


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> FeatureInfo:
    store = FeatureStore.create(tmp_path_factory.mktemp("c") / "s.zarr", make_samples(ROWS))
    fill(store, "x", values, dtype="float32")
    return store.feature("x")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, ROWS), min_size=2, max_size=2).map(sorted))
def test_every_window(info: FeatureInfo, values: np.ndarray, window: list[int]) -> None:
    start, stop = window
    out = np.empty((stop - start, DIM), np.float32)
    CheckedRows(info).read(start, out)
    np.testing.assert_array_equal(out, values[start:stop])


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 3),
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_every_window_of_several(
    info: FeatureInfo, values: np.ndarray, copies: int, share: list[float]
) -> None:
    rows = StackedRows([info] * copies)
    start, stop = (round(s * ROWS * copies) for s in share)
    out = np.empty((stop - start, DIM), np.float32)
    rows.read(start, out)
    np.testing.assert_array_equal(out, np.tile(values, (copies, 1))[start:stop])


@pytest.mark.parametrize("row", [0, 700, 2050])
def test_damage_shows_where_it_is(
    new_store: Callable[..., FeatureStore], values: np.ndarray, row: int
) -> None:
    store = new_store(ROWS)
    fill(store, "x", values, dtype="float32")
    layout = store.feature("x").layout
    shard, at = divmod(row, layout.shard_rows)
    path = store.path / "features" / "x" / "c" / str(shard) / "0"
    content = bytearray(path.read_bytes())
    content[at * layout.row_bytes] ^= 1
    path.write_bytes(content)
    rows = CheckedRows(store.feature("x"))
    first = row // layout.chunk_rows * layout.chunk_rows
    last = min(first + layout.chunk_rows, ROWS)
    for start, stop in ((row, row + 1), (0, ROWS), (first, last)):
        with pytest.raises(CorruptStoreError, match=f"rows {first} to {last - 1} have another"):
            rows.read(start, np.empty((stop - start, DIM), np.float32))
    if first:
        rows.read(0, np.empty((first, DIM), np.float32))
