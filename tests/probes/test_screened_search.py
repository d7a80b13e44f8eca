"""Neighbours that an int8 product lets through: those of a float32 search, to the bit."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.probes import KNNProbe, screened_search
from featstore.probes.candidates import Candidates
from featstore.probes.int8_rows import Int8Rows, bounds
from featstore.probes.row_maps import UnitRows
from featstore.probes.screened_search import ScreenedSearch
from featstore.probes.search_budget import SearchBudget
from featstore.probes.stream import RowStream
from featstore.probes.tile_search import TileSearch
from featstore.probes.tiles import HeldTiles

CPU = torch.device("cpu")
needs_vnni = pytest.mark.skipif(
    not getattr(torch.cpu, "_is_vnni_supported", bool)(), reason="int8 products may saturate"
)


@pytest.fixture
def small(monkeypatch):
    """Screening of little data, in many tiles."""
    monkeypatch.setattr(screened_search, "_TILE_ROWS", 128)
    monkeypatch.setattr(screened_search, "_LEAST_COLUMNS", 8)


@pytest.fixture
def unscreened(monkeypatch):
    """How many queries every call left to the float32 search."""
    calls = []
    search = TileSearch.__call__

    def counted(self, queries, k):
        calls.append(len(queries))
        return search(self, queries, k)

    monkeypatch.setattr(TileSearch, "__call__", counted)
    return calls


def held(X):
    X = np.ascontiguousarray(X, np.float32)
    return HeldTiles(RowStream(X.shape, X.dtype, X), UnitRows(), euclidean=False, device=CPU)


def unit(X):
    return UnitRows()(torch.from_numpy(np.asarray(X))).float()


def check_bits(X, queries, k):
    tiles = held(X)
    found = ScreenedSearch(tiles)(queries, k)
    expected = TileSearch(tiles, device=CPU)(queries, k)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@needs_vnni
@pytest.mark.parametrize("k", [1, 7, 60])
def test_digits_are_screened_with_the_bits_of_a_float32_search(digits, small, unscreened, k):
    X = digits[0][:1200] + 0.01 * np.random.default_rng(0).normal(size=(1200, 64))
    queries = unit(digits[0][1200:])
    neighbours, similarities = ScreenedSearch(held(X))(queries, k)
    assert unscreened == []
    expected = TileSearch(held(X), device=CPU)(queries, k)
    np.testing.assert_array_equal(neighbours, expected[0])
    np.testing.assert_array_equal(similarities, expected[1])
    exact = queries.double().numpy() @ unit(X).double().numpy().T
    best = -np.sort(-exact, axis=1)[:, :k]
    np.testing.assert_allclose(similarities, best, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(exact, neighbours, axis=1), best, atol=1e-6)


@needs_vnni
@pytest.mark.parametrize("case", ["copies", "near ties", "zeros", "scales", "one outlier"])
@pytest.mark.parametrize("k", [1, 20, 75])
def test_hard_rows(digits, small, case, k):
    rng = np.random.default_rng(0)
    X, queries = digits[0][:1200].astype(np.float32), digits[0][1200:1300].astype(np.float32)
    if case == "copies":  # ties at every place
        X = X[rng.integers(100, size=1200)]
    elif case == "near ties":  # the last bits of float32 decide
        X = X[:1] + np.float32(2.0**-20) * rng.integers(-3, 4, size=X.shape)
    elif case == "zeros":
        X[::3], queries[::4] = 0.0, 0.0
    elif case == "scales":
        X *= np.exp(rng.uniform(-30, 30, size=(1200, 1))).astype(np.float32)
        queries *= np.float32(1e-30)
    else:  # a bad code of one row widens the bound for all
        X[17] = 0.0
        X[17, 3:60] = rng.normal(size=57) * 0.003
        X[17, 2] = 1.0
    check_bits(X, unit(queries), k)


@needs_vnni
def test_queries_with_more_candidates_than_are_kept_are_left_open(small, unscreened):
    rng = np.random.default_rng(0)
    X = np.r_[np.tile(rng.normal(size=(1, 32)), (1000, 1)), rng.normal(size=(1000, 32))]
    queries = unit(np.r_[X[:1], rng.normal(size=(99, 32))])
    neighbours, _ = ScreenedSearch(held(X))(queries, 5)
    assert len(unscreened) == 1
    assert 1 <= unscreened[0] < 50
    np.testing.assert_array_equal(neighbours[0], np.arange(5))
    check_bits(X, queries, 5)


@needs_vnni
def test_where_most_stay_open_the_rest_is_not_screened(small, unscreened, monkeypatch):
    monkeypatch.setattr(screened_search, "CHUNK_ROWS", 32)
    X = np.tile(np.random.default_rng(0).normal(size=(1, 32)), (1000, 1))
    neighbours, _ = ScreenedSearch(held(X))(unit(X[:100]), 3)
    assert unscreened == [32, 68]
    np.testing.assert_array_equal(neighbours, np.tile(np.arange(3), (100, 1)))


@needs_vnni
@pytest.mark.parametrize("nearest_first", [True, False])
def test_a_wrong_guess_costs_no_neighbour(digits, small, unscreened, monkeypatch, nearest_first):
    queries = unit(digits[0][1200:1250])
    X = digits[0][:1200]
    by_similarity = np.argsort(unit(X).numpy() @ queries[0].numpy())
    X = X[by_similarity[::-1] if nearest_first else by_similarity]
    monkeypatch.setattr(screened_search, "_rank", lambda k, m, n: max(k * m // n, 1))
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Unshuffled())
    check_bits(X, queries, 40)
    assert unscreened != [50]  # the guess was wrong for some


class Unshuffled:
    def permutation(self, n):
        return np.arange(n)


@needs_vnni
@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(200, 700),
    d=st.integers(8, 140),
    q=st.integers(16, 70),
    k=st.integers(1, 12),
    spread=st.sampled_from([1e-6, 1e-3, 0.1, 1.0]),
)
def test_any_shape(seed, n, d, q, k, spread):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(5, d))
    rows = centres[rng.integers(5, size=n + q)] + spread * rng.normal(size=(n + q, d))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screened_search, "_TILE_ROWS", 100)
        check_bits(rows[:n], unit(rows[n:]), k)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    d=st.integers(1, 300),
    power=st.integers(-30, 15),
    heavy=st.booleans(),
)
def test_no_product_is_off_by_more_than_the_bound(seed, d, power, heavy):
    rng = np.random.default_rng(seed)
    rows = rng.standard_t(1.5, size=(40, d)) if heavy else rng.normal(size=(40, d))
    rows = torch.from_numpy((rows * 10.0**power).astype(np.float32))
    rows[5] = 0.0
    queries = torch.from_numpy(rng.normal(size=(30, d)).astype(np.float32))
    x, q = Int8Rows.of(rows), Int8Rows.of(queries)
    approximate = (q.codes.double() @ x.codes.double().T).float() * x.scales
    approximate = approximate.double() * q.scales.double()[:, None]
    bound = bounds(q, float(x.lengths.max()), float(x.errors.max()))
    each = bounds(q, float(x.lengths.max()), x.errors.expand(len(queries), -1))
    assert (each <= bound).all()
    for similarity in (queries.double() @ rows.double().T, (queries @ rows.T).double()):
        assert ((similarity - approximate).abs() <= each).all()
    # And it is no idle one: what rounding to 255 levels can add up to, twice.
    coarse = np.sqrt(d) / 254 * (q.lengths * x.lengths.max())
    assert (bound[:, 0] <= 4 * coarse).all()


@pytest.mark.parametrize("t", [7, 64, 160])
@pytest.mark.parametrize("most", [3, 1000])
def test_candidates_are_the_columns_that_reach_the_threshold(t, most):
    rng = np.random.default_rng(t)
    candidates = Candidates(9, most=most)
    least = rng.normal(size=9).astype(np.float32)
    least[2], least[3] = -np.inf, np.inf
    parts = [rng.normal(size=(9, t)).astype(np.float32) for _ in range(3)]
    for i, part in enumerate(parts):
        candidates.add(torch.from_numpy(part), torch.from_numpy(least), start=i * t)
    for query, scores in enumerate(np.concatenate(parts, axis=1)):
        above = np.flatnonzero(scores >= least[query])
        assert candidates.counts[query] == len(above)
        kept = candidates.columns[query, : len(above)].numpy()
        assert len(kept) == min(len(above), most)
        assert set(kept) <= set(above)
        np.testing.assert_array_equal(candidates.values[query, : len(kept)], scores[kept])
        assert (candidates.values[query, len(kept) :] == -torch.inf).all()


@needs_vnni
def test_a_probe_screens_where_it_pays_and_memory_admits_it(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8192, 128)).astype(np.float32), np.arange(8192) % 3
    copy, least = X.nbytes, SearchBudget.of(RowStream(X.shape, X.dtype, X), 20).least
    enough = copy + least + ScreenedSearch.bytes_taken(*X.shape)
    searches = {
        ceiling: KNNProbe(max_memory=ceiling).fit(X, y)._search.search
        for ceiling in (None, enough, enough - 1)
    }
    assert [type(search) for search in searches.values()] == [
        ScreenedSearch,
        ScreenedSearch,
        TileSearch,
    ]
    queries = unit(rng.normal(size=(600, 128)))
    found = [search(queries, 20) for search in searches.values()]
    for other in found[1:]:
        np.testing.assert_array_equal(other[0], found[0][0])
        np.testing.assert_array_equal(other[1], found[0][1])
    again = pickle.loads(pickle.dumps(searches[None]))
    np.testing.assert_array_equal(again(queries, 20)[0], found[0][0])
    euclidean = KNNProbe(metric="euclidean").fit(X, y)
    assert isinstance(euclidean._search.search, TileSearch)
    assert isinstance(KNNProbe().fit(X[:1000], y[:1000])._search.search, TileSearch)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    assert isinstance(KNNProbe().fit(X, y)._search.search, TileSearch)


@needs_vnni
def test_leave_one_out_is_that_of_a_float32_search(digits, small, monkeypatch):
    X, y = digits
    screened = KNNProbe(5).fit(X, y)
    assert isinstance(screened._search.search, ScreenedSearch)
    monkeypatch.setattr(ScreenedSearch, "pays", staticmethod(lambda tiles: False))
    plain = KNNProbe(5).fit(X, y)
    assert isinstance(plain._search.search, TileSearch)
    for one, other in zip(screened.kneighbors(), plain.kneighbors(), strict=True):
        np.testing.assert_array_equal(one, other)
