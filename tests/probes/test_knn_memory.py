"""Training rows that are not copied: the same bits, below the ceiling."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from featstore.errors import InvalidInputError, MemoryCeilingError
from featstore.probes import KNNProbe, search_budget, tile_search, tiles
from featstore.probes.search_budget import SearchBudget
from featstore.probes.stream import RowStream
from featstore.probes.tiles import HeldTiles, StreamedTiles, fixed_blocks, tile_rows
from featstore.scaled import ScaledView
from featstore.scaling import BlockScaling

CPU = torch.device("cpu")


class Pieces:
    """A view whose batches have odd sizes, and that has no array."""

    def __init__(self, X, size, max_memory=None):
        self.X, self.size, self.shape, self.dtype = X, size, X.shape, X.dtype
        self.max_memory = max_memory

    def __len__(self):
        return len(self.X)

    def batches(self):
        return (self.X[i : i + self.size] for i in range(0, len(self.X), self.size))

    def take(self, index, *, out=None):
        values = self.X[index]
        if self.max_memory is not None and values.nbytes > self.max_memory:
            raise MemoryCeilingError("more rows than the view may hold")
        return values


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 64 rows, so that little data has many."""
    monkeypatch.setattr(tiles, "_TILE_ROWS", 64)
    monkeypatch.setattr(tiles, "PREPARED_ROWS", 64)
    monkeypatch.setattr(tile_search, "CHUNK_ROWS", 32)
    monkeypatch.setattr(search_budget, "CHUNK_ROWS", 32)


def copies(digits):
    """700 digits, of which many are copies: ties at every place, across tiles."""
    X, y = digits
    which = np.random.default_rng(0).integers(200, size=700)
    return X[which].astype(np.float16), y[which]


def least(X, k):
    return SearchBudget.of(
        X if isinstance(X, RowStream) else RowStream(X.shape, X.dtype, X), k
    ).least


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 30, 150, 700])
def test_rows_read_in_tiles_give_the_bits_of_rows_in_memory(digits, small_tiles, metric, k):
    X, y = copies(digits)
    queries = digits[0][1000:1101]
    held = KNNProbe(k, metric=metric).fit(X, y)
    assert isinstance(held._search.search._tiles, HeldTiles)
    neighbours, similarities = held.kneighbors(queries)
    left_out = None if k == 700 else held.kneighbors()
    for size in (50, 137, 700):
        source = Pieces(X, size)
        ceiling = least(source, k + 1)
        probe = KNNProbe(k, metric=metric, max_memory=ceiling).fit(source, y)
        assert isinstance(probe._search.search._tiles, StreamedTiles)
        again = probe.kneighbors(Pieces(queries, size))
        np.testing.assert_array_equal(again[0], neighbours)
        np.testing.assert_array_equal(again[1], similarities)
        np.testing.assert_array_equal(probe.predict(queries), held.predict(queries))
        if left_out is not None:
            for one, other in zip(probe.kneighbors(), left_out, strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_across_tiles_are_those_of_one_sort(digits, small_tiles, metric):
    X, y = copies(digits)
    queries = digits[0][1000:1100]
    neighbours, similarities = KNNProbe(700, metric=metric).fit(X, y).kneighbors(queries)
    by_row = np.take_along_axis(similarities, np.argsort(neighbours, axis=1), axis=1)
    np.testing.assert_array_equal(neighbours, np.argsort(-by_row, axis=1, kind="stable"))
    for k in (1, 63, 64, 65, 300):
        few = KNNProbe(k, metric=metric).fit(X, y).kneighbors(queries)
        np.testing.assert_array_equal(few[0], neighbours[:, :k])
        np.testing.assert_array_equal(few[1], similarities[:, :k])


def test_arrays_are_not_copied_either(digits, small_tiles):
    X, y = copies(digits)
    probe = KNNProbe(5, max_memory=least(X, 6)).fit(X, y)
    assert probe._search.search._tiles.stream.source is X
    np.testing.assert_array_equal(probe.predict(X), KNNProbe(5).fit(X, y).predict(X))


@pytest.mark.parametrize("scaling", ["none", "l2", "standardise"])
def test_a_view_of_a_store_with_a_ceiling_of_its_own(digits, small_tiles, new_store, scaling):
    X, y = digits
    rows = np.flatnonzero(np.arange(1700) % 7)  # not consecutive: nothing is mapped as it is
    store = new_store(len(X), pixels=X)
    blocks = BlockScaling.fit(store.view("pixels", rows=rows), scaling)
    view = ScaledView(store.view("pixels", rows=rows, max_memory=40_000), blocks)
    array = ScaledView(store.view("pixels", rows=rows), blocks).array()
    probe = KNNProbe(metric="euclidean").fit(view, y[rows])
    assert isinstance(probe._search.search._tiles, StreamedTiles)
    whole = KNNProbe(metric="euclidean").fit(array, y[rows])
    np.testing.assert_array_equal(probe.predict_proba(X), whole.predict_proba(X))
    np.testing.assert_array_equal(probe.leave_one_out(), whole.leave_one_out())


def test_rows_are_gathered_within_the_views_ceiling(digits, small_tiles):
    X, _ = copies(digits)
    stream = RowStream(X.shape, X.dtype, Pieces(X, 10, max_memory=5 * 64 * 2))
    streamed = StreamedTiles(stream, lambda rows: rows.double(), False, CPU)
    index = np.random.default_rng(0).integers(700, size=50)
    np.testing.assert_array_equal(streamed.rows(index), X[index].astype(np.float32))


@pytest.mark.parametrize("size", [1, 3, 10, 64, 100])
@pytest.mark.parametrize("batch", [1, 7, 64, 200])
def test_blocks_have_one_size_whatever_the_batches(size, batch):
    X = np.arange(330, dtype=np.float32).reshape(110, 3)
    stream = RowStream(X.shape, X.dtype, Pieces(X, batch))
    seen = [(start, block.clone()) for start, block in fixed_blocks(stream, CPU, size)]
    assert [start for start, _ in seen] == list(range(0, 110, size))
    assert {len(block) for _, block in seen[:-1]} <= {size}
    np.testing.assert_array_equal(torch.cat([block for _, block in seen]), X)


def test_a_tile_is_a_matter_of_the_rows_alone():
    assert tile_rows(10**6, 1280) == tile_rows(10**7, 1280)
    assert tile_rows(10, 5) == 64
    for d in (1, 64, 768, 2048, 10**5):
        assert tile_rows(10**7, d) % tiles.PREPARED_ROWS == 0


def test_a_ceiling_that_is_too_low(digits):
    X, y = digits
    with pytest.raises(
        MemoryCeilingError, match=r"a search for 20 neighbours among rows of 64 col"
    ):
        KNNProbe(max_memory=1000).fit(X, y)
    with pytest.raises(MemoryCeilingError, match="an index of 1797 rows with 64 columns takes"):
        KNNProbe(engine="faiss", max_memory=1000).fit(X, y)
    with pytest.raises(InvalidInputError, match="cannot read 'much' as a size"):
        KNNProbe(max_memory="much").fit(X, y)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_rows_that_are_not_finite_are_named_when_fitting(digits, small_tiles, metric):
    X, y = copies(digits)
    X[[3, 650], 5] = np.nan
    source = Pieces(X, 100)
    ceiling = least(source, 6)
    with pytest.raises(InvalidInputError, match="infinity: 3 "):
        KNNProbe(5, metric=metric, max_memory=ceiling).fit(source, y)


PEAK = """
import json, sys, threading, time
import numpy as np, torch
from featstore.probes import KNNProbe
torch.set_num_threads(1)

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024

def watch(peak, done):
    while not done.wait(0.005):
        peak.append(anonymous())

X = np.load(sys.argv[1], mmap_mode="r")
y, queries = np.arange(len(X)) % 10, np.asarray(X[:300], np.float32)
KNNProbe(5).fit(queries, y[:300]).predict(queries)  # what libraries take for themselves
results = []
for ceiling in (int(sys.argv[2]), None):
    peak, done = [before := anonymous()], threading.Event()
    watcher = threading.Thread(target=watch, args=(peak, done))
    watcher.start()
    predicted = KNNProbe(20, max_memory=ceiling).fit(X, y).predict(queries)
    done.set()
    watcher.join()
    results.append({"taken": max(peak) - before, "predicted": predicted.tolist()})
print(json.dumps(results))
"""


@pytest.mark.slow  # two processes search 60,000 rows
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_peak_memory_stays_below_the_ceiling(tmp_path):
    n, d = 60_000, 1024
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float16, (n, d))
    some = np.random.default_rng(0).standard_normal((1000, d), np.float32).astype(np.float16)
    for start in range(0, n, len(some)):
        X[start : start + len(some)] = np.roll(some, start // len(some), axis=1)
    X.flush()
    ceiling = SearchBudget.of(RowStream((n, d), X.dtype, X), 20).least + 10_000_000
    assert ceiling < 0.8 * 4 * n * d
    command = [sys.executable, "-c", PEAK, str(tmp_path / "X.npy"), str(ceiling)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    bounded, free = json.loads(done.stdout)
    assert bounded["taken"] <= ceiling
    assert free["taken"] > 4 * n * d
    assert bounded["predicted"] == free["predicted"]
