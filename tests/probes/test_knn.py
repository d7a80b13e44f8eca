"""KNNProbe against scikit-learn and faiss; published protocols are in test_knn_protocols.py."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.neighbors import KNeighborsClassifier

from featstore.errors import InvalidInputError
from featstore.probes import InvertedLists, KNNProbe, NeighbourGraph, search_budget, tile_search

ENGINES = ["torch", "faiss"]


@pytest.fixture(scope="module")
def split(digits):
    """1,000 training and 797 test digits; noise, as integer pixels give many equal distances."""
    X, y = digits
    X = X + 0.1 + 0.01 * np.random.default_rng(0).normal(size=X.shape)
    return X[:1000], y[:1000], X[1000:], y[1000:]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_and_counts_are_those_of_scikit_learn(split, engine, metric):
    X, y, queries, _ = split
    probe = KNNProbe(15, metric=metric, weights="uniform", engine=engine).fit(X, y)
    model = KNeighborsClassifier(15, metric=metric, algorithm="brute").fit(X, y)
    distances, rows = model.kneighbors(queries)
    neighbours, similarities = probe.kneighbors(queries)
    expected = 1 - distances if metric == "cosine" else -distances
    np.testing.assert_allclose(similarities, expected, atol=2e-5)
    # float32 may swap neighbours that float64 tells apart by less than its resolution.
    assert (neighbours == rows).mean() > 0.999
    np.testing.assert_allclose(probe.predict_proba(queries), model.predict_proba(queries))
    np.testing.assert_array_equal(probe.predict(queries), model.predict(queries))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_engines_agree(split, metric):
    X, y, queries, _ = split
    one, other = (KNNProbe(metric=metric, engine=engine).fit(X, y) for engine in ENGINES)
    np.testing.assert_allclose(one.predict_proba(queries), other.predict_proba(queries), atol=1e-4)


def test_a_grid_over_k_is_the_single_probes(split):
    X, y, queries, _ = split
    ks = [20, 1, 200, 10]
    grid = KNNProbe().fit(X, y).predict_proba_grid(queries, ks)
    assert grid.shape == (4, len(queries), 10)
    for proba, k in zip(grid, ks, strict=True):
        np.testing.assert_allclose(
            proba, KNNProbe(k).fit(X, y).predict_proba(queries), rtol=1e-12, atol=1e-15
        )


def test_sweep_scores_queries_with_every_k(split):
    X, y, queries, _ = split
    probe = KNNProbe(metric="euclidean")
    for k, proba in probe.sweep(X, y, queries, [20, 5]):
        alone = KNNProbe(int(k), metric="euclidean").fit(X, y)
        np.testing.assert_allclose(proba, alone.predict_proba(queries), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(probe.classes_, np.arange(10))


def test_one_search_can_vote_many_times(split):
    X, y, queries, _ = split
    probe = KNNProbe(5).fit(X, y)
    neighbours, similarities = probe.kneighbors(queries, 50)
    np.testing.assert_array_equal(
        probe.votes(neighbours, similarities, 5), probe.predict_proba(queries)
    )
    with pytest.raises(InvalidInputError, match="between 1 and the 50 neighbours given, got 51"):
        probe.votes(neighbours, similarities, 51)


def test_an_indicator_is_averaged(split):
    X, y, queries, _ = split
    Y = np.stack([y % 2 == 0, y > 4, y == 7], axis=1)
    probe = KNNProbe(10, metric="euclidean", weights="uniform").fit(X, Y)
    model = KNeighborsClassifier(10).fit(X, Y)
    expected = np.stack([proba[:, 1] for proba in model.predict_proba(queries)], axis=1)
    np.testing.assert_allclose(probe.predict_proba(queries), expected)
    np.testing.assert_array_equal(probe.predict(queries), model.predict(queries))
    weighted = KNNProbe(10).fit(X, Y).predict_proba(queries)
    by_class = KNNProbe(10).fit(X, y).predict_proba(queries)
    np.testing.assert_allclose(weighted[:, 0], by_class[:, ::2].sum(axis=1))


# Ties


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 2, 7, 30, 59, 60])
def test_equal_neighbours_come_by_row(engine, metric, k):
    # Two directions, thirty copies each: every k cuts through a tie.
    X = np.tile([[3.0, 4.0], [0.0, 1.0]], (30, 1))
    probe = KNNProbe(k, metric=metric, engine=engine).fit(X, np.arange(60) % 3)
    by_row = np.r_[np.arange(0, 60, 2), np.arange(1, 60, 2)]
    neighbours, similarities = probe.kneighbors(X[[0]])
    np.testing.assert_array_equal(neighbours[0], by_row[:k])
    assert (np.diff(similarities) <= 0).all()


def test_equal_votes_go_to_the_first_class():
    X = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    probe = KNNProbe(4, weights="uniform").fit(X, ["b", "a", "d", "c"])
    np.testing.assert_array_equal(probe.predict(X), ["a"] * 4)


def test_half_of_the_votes_are_not_enough_for_a_label():
    X = np.random.default_rng(0).normal(size=(20, 3))
    Y = np.stack([np.arange(20) < 10, np.arange(20) < 11], axis=1)
    probe = KNNProbe(20, weights="uniform").fit(X, Y)
    np.testing.assert_array_equal(probe.predict(X), np.tile([0, 1], (20, 1)))


def test_zero_rows_stay_zero():
    X = np.array([[0.0, 0], [1, 0], [0, 2]])
    probe = KNNProbe(3).fit(X, [0, 1, 2])
    neighbours, similarities = probe.kneighbors([[0.0, 0.0], [5.0, 0.0]])
    np.testing.assert_array_equal(similarities, [[0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(neighbours, [[0, 1, 2], [1, 0, 2]])


# Invariances


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), metric=st.sampled_from(["cosine", "euclidean"]))
def test_rotation_order_and_names_do_not_matter(seed, metric):
    rng = np.random.default_rng(seed)
    X, y, queries = rng.normal(size=(50, 6)), rng.integers(4, size=50), rng.normal(size=(20, 6))
    expected = KNNProbe(9, metric=metric).fit(X, y).predict_proba(queries)
    Q, order = ortho_group.rvs(6, random_state=seed), rng.permutation(50)
    rotated = KNNProbe(9, metric=metric).fit(X @ Q, y)
    np.testing.assert_allclose(rotated.predict_proba(queries @ Q), expected, atol=1e-4)
    shuffled = KNNProbe(9, metric=metric).fit(X[order], y[order])
    np.testing.assert_allclose(shuffled.predict_proba(queries), expected, atol=1e-4)
    names = rng.permutation(["ant", "bee", "cow", "dog"])
    named = KNNProbe(9, metric=metric).fit(X, names[y])
    columns = np.searchsorted(named.classes_, names[np.unique(y)])
    np.testing.assert_allclose(named.predict_proba(queries)[:, columns], expected, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 60), k=st.integers(1, 12), rows=st.integers(1, 20))
def test_any_number_of_queries_fits_in_blocks(n, k, rows):
    rng = np.random.default_rng(n)
    X, y, queries = rng.normal(size=(12, 3)), np.arange(12) % 3, rng.normal(size=(n, 3))
    probe = KNNProbe(k).fit(X, y)
    whole = probe.predict_proba(queries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_budget, "_HELD_QUERIES", rows)
        patch.setattr(tile_search, "CHUNK_ROWS", max(rows // 2, 1))
        np.testing.assert_allclose(probe.predict_proba(queries), whole, atol=1e-5)
        assert probe.predict(queries).shape == (n,)


def test_float16_features(split):
    X, y, queries, _ = split
    X16, queries16 = X.astype(np.float16), queries.astype(np.float16)
    half = KNNProbe().fit(X16, y).predict_proba(queries16)
    same = KNNProbe().fit(X16.astype(np.float32), y).predict_proba(queries16.astype(np.float32))
    np.testing.assert_array_equal(half, same)
    # Rounding moves a cosine by 2**-10 at most; one of the twenty neighbours may change.
    np.testing.assert_allclose(half, KNNProbe().fit(X, y).predict_proba(queries), atol=0.06)


def test_a_large_offset_costs_euclidean_distances_no_precision(split):
    X, y, queries, _ = split
    expected = KNNProbe(metric="euclidean").fit(X, y).kneighbors(queries)[1]
    shifted = KNNProbe(metric="euclidean").fit(X + 1e4, y).kneighbors(queries + 1e4)[1]
    np.testing.assert_allclose(shifted, expected, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_cosine_ignores_scale(split, scale):
    X, y, queries, _ = split
    expected = KNNProbe().fit(X, y).predict_proba(queries)
    np.testing.assert_allclose(
        KNNProbe().fit(X * scale, y).predict_proba(queries * scale), expected, atol=1e-5
    )


# What goes in


def test_features_may_be_tensors(split):
    X, y, queries, truth = split
    probe = KNNProbe().fit(torch.from_numpy(X).half(), torch.from_numpy(y))
    assert probe.score(torch.from_numpy(queries).half(), truth) > 0.9


@pytest.mark.parametrize("engine", [*ENGINES, InvertedLists(4, 2), NeighbourGraph(8)])
def test_a_fitted_probe_can_be_pickled(split, engine):
    X, y, queries, _ = split
    probe = KNNProbe(engine=engine).fit(X, y)
    again = pickle.loads(pickle.dumps(probe))
    np.testing.assert_array_equal(again.predict_proba(queries), probe.predict_proba(queries))


def test_one_class_is_enough():
    probe = KNNProbe(2).fit(np.eye(3), ["owl"] * 3)
    np.testing.assert_array_equal(probe.predict_proba(np.eye(3)), np.ones((3, 1)))


@pytest.mark.parametrize("k", [0, 13])
def test_k_beyond_the_training_rows(k):
    X, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 3
    with pytest.raises(InvalidInputError, match=f"k={k} neighbours .* between 1 and 12"):
        KNNProbe(k).fit(X, y)
    probe = KNNProbe(12).fit(X, y)
    with pytest.raises(InvalidInputError, match=f"k={k} neighbours"):
        probe.kneighbors(X, k)
    with pytest.raises(InvalidInputError, match=f"k={k} neighbours"):
        probe.predict_proba_grid(X, [1, k])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"metric": "manhattan"}, "metric must be one of 'cosine', 'euclidean'"),
        ({"weights": "cubic"}, "weights must be one of"),
        ({"weights": "distance"}, "'distance' is for metric='euclidean'"),
        ({"engine": "annoy"}, "engine must be one of 'torch'"),
        ({"engine": InvertedLists(4)}, "nlist=4 lists .* between 1 and 3"),
        ({"engine": InvertedLists(2, 0)}, "nprobe must be at least 1, got 0"),
        ({"engine": NeighbourGraph(1)}, "M must be at least 2, got 1"),
        ({"engine": NeighbourGraph(ef_search=0)}, "at least 1, got 100 and 0"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"temperatures": [0.1, -1.0]}, "temperature must be positive, got -1"),
        ({"engine": "faiss", "device": "cuda"}, "faiss"),
        ({"device": "tpu"}, "device must be"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        KNNProbe(1, **parameters).fit(np.eye(3), [0, 1, 2])


def test_rows_that_are_not_finite_are_named():
    X = np.eye(5)
    X[[1, 4], 2] = np.nan
    with pytest.raises(InvalidInputError, match=r"2 of 5 rows .* rows 1, 4"):
        KNNProbe(1).fit(X, np.arange(5))


@pytest.mark.parametrize("k", [1.5, "all"])
def test_k_is_a_whole_number(k):
    with pytest.raises(InvalidInputError, match="must be a whole number between 1 and 5"):
        KNNProbe(k).fit(np.eye(5), np.arange(5))


def test_no_queries_are_one_clear_error(split):
    X, y, _, _ = split
    with pytest.raises(ValueError, match="0 sample"):
        KNNProbe().fit(X, y).predict(X[:0])


# Votes


def test_a_grid_over_temperatures_too(split):
    X, y, queries, _ = split
    ks, temperatures = [10, 1, 50], [0.2, 0.02]
    grid = KNNProbe().fit(X, y).predict_proba_grid(queries, ks, temperatures)
    assert grid.shape == (3, 2, len(queries), 10)
    for i, k in enumerate(ks):
        for j, temperature in enumerate(temperatures):
            alone = KNNProbe(k, temperature=temperature).fit(X, y).predict_proba(queries)
            np.testing.assert_allclose(grid[i, j], alone, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("engine", ENGINES)
def test_votes_by_distance_are_those_of_scikit_learn(split, engine):
    X, y, queries, _ = split
    queries = np.r_[queries[:300], X[:20]]  # twenty of them at distance 0
    probe = KNNProbe(15, metric="euclidean", weights="distance", engine=engine).fit(X, y)
    model = KNeighborsClassifier(15, weights="distance", algorithm="kd_tree").fit(X, y)
    np.testing.assert_allclose(
        probe.predict_proba(queries), model.predict_proba(queries), atol=1e-5
    )
    np.testing.assert_array_equal(probe.predict(queries), model.predict(queries))
    np.testing.assert_array_equal(probe.kneighbors(X[:20], 1)[1], 0.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_small_distances_keep_their_digits(engine):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 32)).astype(np.float32)
    queries = X[:100] + 1e-4 * rng.normal(size=(100, 32)).astype(np.float32)
    probe = KNNProbe(3, metric="euclidean", engine=engine).fit(X, np.arange(500) % 3)
    true = np.linalg.norm(queries.astype(np.float64) - X[:100], axis=1)
    nearest, similarities = probe.kneighbors(queries)
    np.testing.assert_array_equal(nearest[:, 0], np.arange(100))
    np.testing.assert_allclose(-similarities[:, 0], true, rtol=1e-2)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_one_column(engine, metric):
    X, y = np.array([[1.0], [2.0], [-3.0], [4.0]]), np.array([0, 1, 2, 3])
    probe = KNNProbe(2, metric=metric, engine=engine).fit(X, y)
    neighbours = probe.kneighbors([[3.2], [-1.0]])[0]
    expected = [[0, 1], [2, 0]] if metric == "cosine" else [[3, 1], [0, 2]]
    np.testing.assert_array_equal(neighbours, expected)


@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(2, 300),
    d=st.integers(1, 130),
    q=st.integers(1, 80),
    metric=st.sampled_from(["cosine", "euclidean"]),
)
def test_copies_tie_wherever_they_are(seed, n, d, q, metric):
    """Products in float32 must not tell two copies of a row apart."""
    rng = np.random.default_rng(seed)
    few = rng.normal(size=(max(n // 10, 1), d))
    which = rng.integers(len(few), size=n)
    probe = KNNProbe(n, metric=metric).fit(few[which], np.zeros(n, int))
    neighbours, similarities = probe.kneighbors(rng.normal(size=(q, d)))
    same = which[neighbours[:, 1:]] == which[neighbours[:, :-1]]
    assert (similarities[:, 1:] == similarities[:, :-1])[same].all()
    assert (np.diff(neighbours, axis=1) > 0)[same].all()


@pytest.mark.gpu
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("streamed", [False, True])
def test_cuda_finds_what_the_cpu_does(split, metric, streamed):
    X, y, queries, _ = split
    cpu = KNNProbe(50, metric=metric).fit(X, y)
    ceiling = cpu._search.budget.least if streamed else None
    cuda = KNNProbe(50, metric=metric, device="cuda", max_memory=ceiling).fit(X, y)
    np.testing.assert_allclose(cuda.predict_proba(queries), cpu.predict_proba(queries), atol=1e-4)
    np.testing.assert_array_equal(cuda.predict(queries), cpu.predict(queries))
    np.testing.assert_allclose(cuda.leave_one_out(), cpu.leave_one_out(), atol=1e-4)
