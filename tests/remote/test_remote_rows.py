"""Rows from a bucket: the right ones, in few requests, and never garbage."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import zarr
from gateway import Gateway
from hypothesis import given
from hypothesis import strategies as st
from s3_server import KEYS, S3Server
from small_store import fill, make_samples, make_spec

from featstore.errors import CorruptStoreError
from featstore.object_folder import ObjectFolder
from featstore.presence import check_shards
from featstore.remote_rows import RemoteRows
from featstore.row_ranges import GAP_BYTES, PIECE_BYTES, plan
from featstore.shards import ShardLayout, shard_name
from featstore.store import FeatureStore

pytest.importorskip("obstore")

ROWS, DIM = 3000, 512
VALUES = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float16)


@pytest.fixture(scope="module")
def store(s3: S3Server) -> Iterator[FeatureStore]:
    """Return a store with a feature of 12 shards of 256 rows, 1 KiB each; the last one is short."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3.url}.items():
            patch.setenv(name, value)
        store = FeatureStore.create(f"s3://{s3.new_bucket()}/x.zarr", make_samples(ROWS))
        fill(store, "x", VALUES.astype(np.float32))
        yield store


@pytest.fixture(scope="module")
def rows(store: FeatureStore) -> RemoteRows:
    rows = store.feature("x").rows()
    assert isinstance(rows, RemoteRows)
    return rows


@given(
    index=st.lists(st.integers(0, 9999), max_size=300),
    shard_rows=st.sampled_from([256, 2048]),
    dim=st.sampled_from([3, 700, 5000]),
)
def test_a_plan_asks_for_every_row_once(index: list[int], shard_rows: int, dim: int) -> None:
    layout = ShardLayout(10_000, dim, "float32", shard_rows, 256)
    rows = np.sort(np.asarray(index, np.intp))
    found: list[int] = []
    n_read = 0
    for piece in plan(rows, layout):
        assert len(piece.starts) <= 32
        assert sum(piece.lengths) <= 2 * PIECE_BYTES
        read = np.concatenate(
            [
                np.arange(start // layout.row_bytes, (start + length) // layout.row_bytes)
                for start, length in zip(piece.starts, piece.lengths, strict=True)
            ]
        )
        wanted = rows[piece.wanted]
        np.testing.assert_array_equal(piece.shard * shard_rows + read[piece.offsets], wanted)
        # What nobody asked for is read only where it is short.
        kept = np.unique(piece.offsets)
        assert kept[0] == 0
        assert kept[-1] == len(read) - 1
        assert ((np.diff(kept) - 1) * layout.row_bytes <= GAP_BYTES).all()
        found += wanted.tolist()
        n_read += len(read)
    assert found == rows.tolist()
    assert n_read <= 2 * len(set(index))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rows_are_gathered(rows: RemoteRows, dtype: str) -> None:
    rng = np.random.default_rng(1)
    index = np.r_[rng.integers(0, ROWS, 200), ROWS - 1, 7, 7, 0]
    wide = np.zeros((2 * len(index), DIM + 5), dtype)
    rows.take(index, wide[::2, 3:-2])  # with gaps in both directions
    np.testing.assert_array_equal(wide[::2, 3:-2], VALUES[index].astype(dtype))
    assert not wide[1::2].any()
    assert not wide[:, :3].any()
    rows.take(np.empty(0, np.intp), np.empty((0, DIM), dtype))


@pytest.mark.parametrize(("start", "stop"), [(0, ROWS), (255, 257), (2800, ROWS), (5, 5)])
def test_rows_are_read(rows: RemoteRows, start: int, stop: int) -> None:
    out = np.zeros((stop - start, DIM), np.float32)
    rows.read(start, out)
    np.testing.assert_array_equal(out, VALUES[start:stop].astype(np.float32))
    assert rows.window(start, stop) is None


def test_only_what_is_needed_is_fetched(gateway: Gateway, store: FeatureStore) -> None:
    rows = FeatureStore.open(store.location, endpoint=gateway.url).feature("x").rows()
    index = np.arange(0, ROWS, 70)  # 69 KiB apart: every row by itself
    out = np.empty((len(index), DIM), np.float16)
    gateway.requests.clear()
    gateway.sent.clear()
    rows.take(index, out)
    assert sum(gateway.sent) == out.nbytes
    gateway.requests.clear()
    rows.take(np.arange(0, 80, 2), out[:40])  # 1 KiB apart: one range
    assert [request.headers["range"] for request in gateway.requests] == ["bytes=0-80895"]
    gateway.requests.clear()
    rows.read(0, np.empty((ROWS, DIM), np.float16))
    assert len(gateway.requests) == 12


def test_views_are_those_of_a_local_store(store: FeatureStore, tmp_path: Path) -> None:
    local = FeatureStore.create(tmp_path / "x.zarr", store.samples)
    fill(local, "x", VALUES.astype(np.float32))
    for place in (store, local):
        writer = place.writer("y", make_spec(place.samples, dim=8, dtype="float32"))
        for shard in writer.pending():
            span = writer.layout.shard_range(shard)
            excluded = {300: "torn"} if 300 in span else {}
            writer.put(
                shard, VALUES[span.start : span.stop, :8].astype(np.float32), excluded=excluded
            )
        writer.seal()
    for names in ("y", ["x", "y"]):
        here, there = store.view(names, split="train"), local.view(names, split="train")
        np.testing.assert_array_equal(here.rows, there.rows)
        assert 300 not in here.rows
        np.testing.assert_array_equal(here.array(), there.array())
        np.testing.assert_array_equal(here.take([5, 3, 5]), there.take([5, 3, 5]))
        # A request for nearly every row: some batches do.
        ours, theirs = (islice(view.batches(100, shuffle=1), 3) for view in (here, there))
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(mine, other)


def test_stock_zarr_reads_the_same(store: FeatureStore) -> None:
    array = zarr.open_array(store.folder.child("features/x").zarr(), mode="r")
    np.testing.assert_array_equal(array[:], VALUES)


def test_a_short_shard_is_an_error(bucket: str) -> None:
    layout = ShardLayout(300, DIM, "float16", 256, 256)
    folder = ObjectFolder.at(f"{bucket}/feature")
    rows = RemoteRows(folder, layout)
    for shard in range(2):
        span = layout.shard_range(shard)
        buffers = layout.encode(shard, [VALUES[span.start : span.stop]], [])
        folder.write(shard_name(shard), buffers)
    content = folder.read("c/0/0")
    check_shards(folder, layout)
    out = np.empty((2, DIM), np.float16)
    for length in (0, 100, 200 * 1024):
        folder.write("c/0/0", [content[:length]])
        with pytest.raises(CorruptStoreError, match="c/0/0 is truncated"):
            rows.take(np.asarray([0, 255]), out)
        with pytest.raises(CorruptStoreError, match="c/0/0 is truncated"):
            rows.read(254, out)
    with pytest.raises(CorruptStoreError, match="c/0/0 has 204800 bytes"):
        check_shards(folder, layout)
    folder.delete("c/0/0")
    with pytest.raises(CorruptStoreError, match="c/0/0 is missing"):
        rows.take(np.asarray([5, 260]), out)
    with pytest.raises(CorruptStoreError, match="c/0/0 is missing"):
        check_shards(folder, layout)
    rows.take(np.asarray([257, 256]), out)
    np.testing.assert_array_equal(out, VALUES[[257, 256]])


def test_one_listing_shows_all_shards(gateway: Gateway, store: FeatureStore) -> None:
    info = FeatureStore.open(store.location, endpoint=gateway.url).feature("x")
    gateway.requests.clear()
    check_shards(info.folder, info.layout)
    assert len(gateway.requests) == 1
