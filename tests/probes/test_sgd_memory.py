"""Wherever the features lie: the same rows in the same order, the same bits."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from digits_store import make_digits_store

from featstore.errors import InvalidInputError, MemoryCeilingError
from featstore.probes import SGDProbe
from featstore.probes.design import padded_width
from featstore.probes.read_ahead import ReadAhead
from featstore.probes.row_feed import BLOCK_ROWS, MemoryFeed
from featstore.probes.sample_order import SampleOrder
from featstore.scaled import ScaledView
from featstore.scaling import BlockScaling

SHORT = {"epochs": 4, "batch_size": 300}
ROOM = 4 * 300 * padded_width(80) + 2 * BLOCK_ROWS * 80 * 4  # of two blocks of both features


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_digits_store(tmp_path_factory.mktemp("sgd") / "digits.zarr")


class Recorder:
    """A matrix that records what is gathered from it, and on which thread."""

    def __init__(self, X):
        self.X, self.shape, self.dtype = X, X.shape, X.dtype
        self.rows: list[np.ndarray] = []
        self.buffers: dict[int, int] = {}
        self.threads: set[str] = set()

    def take(self, index, *, out):
        self.rows.append(index)
        self.buffers[(out if out.base is None else out.base).ctypes.data] = (
            out if out.base is None else out.base
        ).nbytes
        self.threads.add(threading.current_thread().name)
        return np.take(self.X, index, axis=0, out=out)

    def array(self):
        return self.X

    def batches(self, size=None):
        raise AssertionError("a training gathers rows")


@pytest.mark.parametrize("features", [["pixels"], ["pixels", "pca"]])
@pytest.mark.parametrize("normalise", [False, True])
def test_memory_modes_agree_to_the_bit(store, features, normalise):
    view = store.view(features, split="train")
    y = np.arange(len(view)) % 7
    X = view.load()

    def weights(X, **arguments):
        probe = SGDProbe(**SHORT, normalise=normalise, **arguments).fit(X, y)
        return probe.decision_function(view)

    expected = weights(X)
    np.testing.assert_array_equal(weights(torch.from_numpy(X)), expected)
    np.testing.assert_array_equal(weights(np.asfortranarray(X)), expected)
    np.testing.assert_array_equal(weights(view), expected)
    for ceiling in (ROOM, 2 * ROOM, f"{8 * ROOM}B"):
        np.testing.assert_array_equal(weights(view, max_memory=ceiling), expected)


def test_rows_out_of_order(store):
    chosen = np.random.default_rng(0).permutation(1000)[:700]
    view = store.view("pixels", rows=chosen)
    y = np.arange(700) % 3
    ahead = SGDProbe(**SHORT, max_memory=4 * 300 * 80 + 2 * 256 * 64 * 2).fit(view, y)
    loaded = SGDProbe(**SHORT).fit(view.load(), y)
    np.testing.assert_array_equal(ahead.coef_, loaded.coef_)


@pytest.mark.parametrize("kind", ["none", "standardise"])
def test_the_ceiling_of_a_view_counts(store, kind):
    names = ["pixels", "pca"]
    view = store.view(names, split="train")
    bounded = store.view(names, split="train", max_memory=ROOM)
    with pytest.raises(MemoryCeilingError):
        bounded.array()
    scaling = BlockScaling.fit(view, kind)
    y = np.arange(1000) % 5
    loaded = SGDProbe(**SHORT).fit(scaling.apply(view), y)
    ahead = SGDProbe(**SHORT).fit(ScaledView(bounded, scaling), y)
    np.testing.assert_array_equal(ahead.coef_, loaded.coef_)


@pytest.mark.parametrize("room", [2 * BLOCK_ROWS, 1000, 4000, 10_000])
def test_buffers_stay_below_the_ceiling(room):
    X = np.random.default_rng(0).normal(size=(1500, 24)).astype(np.float32)
    source = Recorder(X)
    order = SampleOrder(1500, batch_size=700, seed=0)
    ceiling = 1000 + room * 24 * 4
    ahead = ReadAhead(source, order, n_steps=8, max_memory=ceiling, reserved=1000)
    memory = MemoryFeed(torch.from_numpy(X), order)
    for step in range(8):
        expected = torch.cat([block.clone() for block in memory.batch(step)])
        blocks = [block.clone() for block in ahead.batch(step)]
        assert max(map(len, blocks)) <= BLOCK_ROWS
        assert torch.equal(torch.cat(blocks), expected)
    ahead.close()
    assert len(source.buffers) <= 2
    assert sum(source.buffers.values()) + 1000 <= ceiling
    assert sum(map(len, source.rows)) == 2 * 1500 + 2 * 700  # two epochs of 3 steps, and 2 steps
    assert source.threads == {"featstore-rows_0"}


def test_ending_early_ends_the_thread():
    X = np.zeros((1500, 8), np.float32)
    order = SampleOrder(1500, batch_size=256, seed=0)
    ahead = ReadAhead(Recorder(X), order, n_steps=100, max_memory=1 << 20)
    next(ahead.batch(0))
    ahead.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("featstore-rows")]


def test_too_low_a_ceiling(store):
    view = store.view("pixels", split="train")
    with pytest.raises(MemoryCeilingError, match="batches of 300 rows, read ahead 256 at a time"):
        SGDProbe(**SHORT, max_memory=50_000).fit(view, np.arange(1000) % 3)


def test_rows_that_are_not_finite():
    X = np.random.default_rng(0).normal(size=(1000, 80)).astype(np.float32)
    X[[3, 900]] = np.nan
    y = np.arange(1000) % 3
    with pytest.raises(InvalidInputError, match=r"NaN or infinity, such as row (3|900);"):
        SGDProbe(**SHORT, max_memory=ROOM).fit(Recorder(X), y)
    with pytest.raises(InvalidInputError, match="2 of 1000 rows of X contain NaN"):
        SGDProbe(**SHORT).fit(Recorder(X), y)
