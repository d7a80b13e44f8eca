"""Views against plain numpy: take, load, batches, memory ceilings, fused blocks."""

from __future__ import annotations

import os
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from featstore import batches
from featstore.errors import InvalidInputError, MemoryCeilingError
from featstore.residency import _PIECE, Residency, _cut
from featstore.rows import ArrayRows, in_threads
from featstore.store import FeatureStore
from featstore.view import FeatureView

N = 1500
A = np.random.default_rng(0).standard_normal((N, 24)).astype(np.float16)
B = np.random.default_rng(1).standard_normal((N, 5)).astype(np.float16)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    from small_store import fill, make_samples

    made = FeatureStore.create(tmp_path_factory.mktemp("view") / "s.zarr", make_samples(N))
    fill(made, "a", A.astype(np.float32))
    fill(made, "b", B.astype(np.float32), dtype="float32")
    return made


EXPECTED = {("a",): A, ("b",): B.astype(np.float32), ("a", "b"): np.hstack([A, B]).astype("f4")}
NAMES = pytest.mark.parametrize("names", list(EXPECTED))


@NAMES
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_take_and_load(store: FeatureStore, names: tuple[str, ...], data: st.DataObject) -> None:
    rows = np.asarray(data.draw(st.lists(st.integers(0, N - 1), min_size=1, max_size=40)))
    index = np.asarray(data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=60)), np.intp)
    view = store.view(list(names), rows=rows)
    expected = EXPECTED[names][rows]
    np.testing.assert_array_equal(view.load(), expected)
    np.testing.assert_array_equal(view.take(index), expected[index])
    out = np.empty((len(index), expected.shape[1]), view.dtype)
    assert view.take(index, out=out) is out
    np.testing.assert_array_equal(out, expected[index])


@NAMES
@pytest.mark.parametrize("split", [None, "train", "test"])
def test_batches_in_order(store: FeatureStore, names: tuple[str, ...], split: str | None) -> None:
    view = store.view(list(names), split=split)
    expected = EXPECTED[names][store.rows(split)]
    for size in (1, 7, 256, 5000, None):
        batches = list(view.batches(size))
        assert {len(batch) for batch in batches[:-1]} <= {size}
        np.testing.assert_array_equal(np.concatenate(batches), expected)


@NAMES
def test_shuffled_batches_are_a_permutation_that_the_seed_fixes(
    store: FeatureStore, names: tuple[str, ...]
) -> None:
    view = store.view(list(names), split="train")
    expected = EXPECTED[names][store.rows("train")]
    first = np.concatenate(list(view.batches(100, shuffle=3)))
    order = np.random.default_rng(3).permutation(len(expected))
    np.testing.assert_array_equal(first, expected[order])
    np.testing.assert_array_equal(np.concatenate(list(view.batches(17, shuffle=3))), first)
    other = np.concatenate(list(view.batches(100, shuffle=4)))
    assert not np.array_equal(other, first)
    whole = np.concatenate(list(view.batches(100, shuffle=3, drop_last=True)))
    np.testing.assert_array_equal(whole, first[: len(first) // 100 * 100])


@NAMES
@pytest.mark.parametrize("shuffle", [None, 5])
def test_batches_into_a_buffer(
    store: FeatureStore, names: tuple[str, ...], shuffle: int | None
) -> None:
    view = store.view(list(names))
    out = np.empty((64, view.shape[1]), view.dtype)
    seen = []
    for batch in view.batches(shuffle=shuffle, out=out):
        assert np.shares_memory(batch, out)
        seen.append(batch.copy())
    fresh = np.concatenate(list(view.batches(64, shuffle=shuffle)))
    np.testing.assert_array_equal(np.concatenate(seen), fresh)


def test_batches_of_consecutive_rows_are_not_copied(store: FeatureStore) -> None:
    view = store.view("a")
    whole = view.array()
    assert all(np.shares_memory(batch, whole) for batch in view.batches(100))
    assert not any(batch.flags.writeable for batch in view.batches(100))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"size": 0}, "at least 1 row, got size=0"),
        ({"out": np.empty((10, 3), np.float16)}, r"out must be \(rows of a batch, 24\)"),
        ({"out": np.empty((10, 24), np.float32)}, "of float16, got"),
    ],
)
def test_batches_that_cannot_be(
    store: FeatureStore, arguments: dict[str, NDArray[np.float16]], match: str
) -> None:
    with pytest.raises(InvalidInputError, match=match):
        list(store.view("a").batches(**arguments))  # type: ignore[arg-type]


def test_an_out_of_another_shape_is_refused(store: FeatureStore) -> None:
    with pytest.raises(InvalidInputError, match=r"out must be \(2, 24\) of float16"):
        store.view("a").take(np.array([1, 2]), out=np.empty((3, 24), np.float16))
    with pytest.raises(InvalidInputError, match=r"out must be \(1500, 29\) of float32"):
        store.view(["a", "b"]).load(out=np.empty((N, 29), np.float16))


# Memory


@NAMES
def test_a_ceiling_refuses_what_is_larger(store: FeatureStore, names: tuple[str, ...]) -> None:
    expected = EXPECTED[names]
    view = store.view(list(names), max_memory=expected.nbytes - 1)
    calls: list[Callable[[], object]] = [view.load, lambda: view.take(np.arange(N))]
    for call in calls:
        with pytest.raises(MemoryCeilingError, match=r"1500 rows takes .* go through batches\(\)"):
            call()
    exact = store.view(list(names), max_memory=expected.nbytes)
    np.testing.assert_array_equal(exact.load(), expected)
    with pytest.raises(MemoryCeilingError, match="2 batches of 1000 rows"):
        exact.batches(1000, shuffle=0)


@NAMES
def test_batches_are_made_to_fit(store: FeatureStore, names: tuple[str, ...]) -> None:
    view = store.view(list(names), rows=np.arange(N)[::-1], max_memory="10 kB")
    row_bytes = view.shape[1] * view.dtype.itemsize
    batches = list(view.batches())
    assert max(map(len, batches)) == 5000 // row_bytes
    np.testing.assert_array_equal(np.concatenate(batches), EXPECTED[names][::-1])
    with pytest.raises(MemoryCeilingError):
        store.view(list(names), max_memory=row_bytes).batches(shuffle=0)


def test_mapped_rows_need_no_memory(store: FeatureStore) -> None:
    view = store.view("a", max_memory=1)
    np.testing.assert_array_equal(view.array(), A)


def test_fused_batches_copy_no_whole_block(store: FeatureStore) -> None:
    view = store.view(["a", "b"])
    next(view.batches(50, shuffle=0))  # what is loaded on first use
    tracemalloc.start()
    for batch in view.batches(50, shuffle=0):
        assert len(batch) == 50
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * A.nbytes  # which positions and threads alone nearly reach


@pytest.mark.parametrize("size", ["much", "-3MB", "0", "3 apples"])
def test_sizes_that_are_none(store: FeatureStore, size: str) -> None:
    with pytest.raises(InvalidInputError, match=r"as a size|at least 1 byte"):
        store.view("a", max_memory=size)


# What lies beneath


def test_rows_go_to_strided_and_wider_arrays() -> None:
    X = np.random.default_rng(2).standard_normal((70_000, 16)).astype(np.float16)
    index = np.random.default_rng(3).integers(0, len(X), 700_000)
    wide = np.full((700_000, 40), 7, np.float32)
    ArrayRows(X).take(index, wide[:, 3:19])
    np.testing.assert_array_equal(wide[:, 3:19], X[index].astype(np.float32))
    assert (wide[:, :3] == 7).all()
    assert (wide[:, 19:] == 7).all()


@given(n=st.integers(0, 1000), nbytes=st.integers(0, 1 << 26))
def test_threads_cover_every_row_once(n: int, nbytes: int) -> None:
    seen = np.zeros(n, int)

    def work(start: int, stop: int) -> None:
        seen[start:stop] += 1

    in_threads(work, n, nbytes)
    assert (seen == 1).all()


def test_absent_pages_are_asked_for_and_values_stay_right(store: FeatureStore) -> None:
    view = store.view("a")
    assert isinstance(view, FeatureView)
    whole = view.array()
    residency = Residency.of(whole)
    if residency is None:
        pytest.skip("no mincore here")
    index = np.random.default_rng(0).permutation(N)[:100]
    begins, ends = residency._ranges(index)
    pages = {
        page
        for a, b in zip(begins.tolist(), ends.tolist(), strict=True)
        for page in range(a, b, 4096)
    }
    address = whole.__array_interface__["data"][0]
    for row in index.tolist():
        for byte in (0, whole.strides[0] - 1):
            assert (address + row * whole.strides[0] + byte) // 4096 * 4096 in pages
    residency._is_absent = lambda index, sample: True  # type: ignore[method-assign]
    residency.expect(index)
    np.testing.assert_array_equal(whole[index], A[index])


def test_the_next_batch_is_asked_for_before_this_one_is_taken(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, list[int]]] = []
    take, prefetch = ArrayRows.take, ArrayRows.prefetch

    def seen_take(self: ArrayRows, index: NDArray[np.intp], out: NDArray[np.float16]) -> None:
        calls.append(("take", index.tolist()))
        monkeypatch.setattr(ArrayRows, "prefetch", prefetch)  # its own pieces are not the matter
        take(self, index, out)
        monkeypatch.setattr(ArrayRows, "prefetch", seen_prefetch)

    def seen_prefetch(self: ArrayRows, index: NDArray[np.intp]) -> bool:
        calls.append(("prefetch", index.tolist()))
        return True

    monkeypatch.setattr(ArrayRows, "take", seen_take)
    monkeypatch.setattr(ArrayRows, "prefetch", seen_prefetch)
    view = store.view("a", rows=np.arange(10))
    for _ in view.batches(4, out=np.empty((4, 24), np.float16)):
        pass
    first, second, third = [0, 1, 2, 3], [4, 5, 6, 7], [8, 9]
    assert calls == [
        ("prefetch", second),
        ("take", first),
        ("prefetch", third),
        ("take", second),
        ("take", third),
    ]


def test_a_shuffled_pass_asks_for_more_and_more_and_then_for_the_rest_in_order(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []

    def prefetch(self: ArrayRows, index: NDArray[np.intp]) -> bool:
        asked.append(index.tolist())
        return True

    monkeypatch.setattr(ArrayRows, "prefetch", prefetch)
    monkeypatch.setattr(ArrayRows, "_prefetched", lambda self, index, a, b, step: [slice(a, b)])
    n, size = 960, 10
    view = store.view("a", rows=np.arange(N)[:n])
    out = np.empty((size, 24), np.float16)
    seen = np.concatenate([batch.copy() for batch in view.batches(size, shuffle=3, out=out)])
    order = np.random.default_rng(3).permutation(n)
    np.testing.assert_array_equal(seen, EXPECTED[("a",)][order])
    whole = [index for index in asked if index == sorted(index) and len(index) >= size]
    assert [len(index) // size for index in whole] == [1, 2, 93]
    np.testing.assert_array_equal(np.sort(np.concatenate(whole)), np.arange(n))


def test_a_pass_that_is_broken_off_asks_for_no_more(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    begun, left = threading.Event(), threading.Event()
    until_the_second_window = 1 + 10 + 1 + 1  # a look, its pieces; a look, and the first piece

    def prefetch(self: ArrayRows, index: NDArray[np.intp]) -> bool:
        asked.append(len(index))
        if len(asked) == until_the_second_window:
            begun.set()
            assert left.wait(20)
        return True

    monkeypatch.setattr(ArrayRows, "prefetch", prefetch)
    monkeypatch.setattr(ArrayRows, "_prefetched", lambda self, index, a, b, step: [slice(a, b)])
    monkeypatch.setattr(batches, "_ASKED_BYTES", 10 * A.strides[0])
    passing = store.view("a").batches(100, shuffle=0, out=np.empty((100, 24), np.float16))
    next(passing)
    assert begun.wait(20)
    threading.Timer(0.1, left.set).start()
    passing.close()  # type: ignore[attr-defined]
    assert len(asked) == until_the_second_window


def test_long_ranges_are_cut_into_pieces_that_the_system_reads_whole() -> None:
    begins = np.asarray([0, 1 << 20, 5 << 20])
    ends = begins + np.asarray([4096, 3 * _PIECE + 4096, _PIECE])
    starts, stops = _cut(begins, ends)
    assert (stops - starts).tolist() == [4096, _PIECE, _PIECE, _PIECE, 4096, _PIECE]
    inner = np.flatnonzero(starts[1:] == stops[:-1])
    np.testing.assert_array_equal(np.delete(starts, inner + 1), begins)
    np.testing.assert_array_equal(np.delete(stops, inner), ends)


def test_where_many_rows_are_wanted_those_between_are_read_with_them(store: FeatureStore) -> None:
    residency = Residency.of(store.view("a").array())
    if residency is None:
        pytest.skip("no mincore here")
    dense = residency._ranges(np.arange(0, N, 2))
    assert len(dense[0]) == 1
    assert dense[1][0] - dense[0][0] >= (N - 1) * 48


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux which pages are in memory")
def test_rows_that_were_always_there_are_only_glanced_at(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    residency = Residency.of(store.view("a").array())
    assert residency is not None
    present, looks = True, []

    def absent(index: NDArray[np.intp], sample: int) -> bool:
        looks.append(sample)
        return not present

    monkeypatch.setattr(residency, "_is_absent", absent)
    index = np.arange(N)
    asked = [residency.expect(index) for _ in range(20)]
    present = False
    asked += [residency.expect(index) for _ in range(2)]
    assert asked == [False] * 20 + [True] * 2
    thorough, glance = looks[0], looks[19]
    assert glance < thorough
    # One that was missing, and all is looked at closely again.
    assert looks == [thorough] * 8 + [glance] * 13 + [thorough]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux which pages are in memory")
@NAMES
def test_prefetched_rows_arrive_in_memory(store: FeatureStore, names: tuple[str, ...]) -> None:
    view = store.view(list(names))
    index = np.arange(0, N, 7)
    mapped = [Residency.of(block.array()) for block in view.blocks]
    for file in store.path.rglob("c/*/0"):
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    watched = [residency for residency in mapped if residency is not None]
    if not all(residency._is_absent(index) for residency in watched):
        pytest.skip("this system keeps the files in memory")
    view.prefetch(index)
    until = time.monotonic() + 20
    while any(residency._is_absent(index) for residency in watched) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(residency._is_absent(index) for residency in watched)
    np.testing.assert_array_equal(view.take(index), EXPECTED[names][index])
