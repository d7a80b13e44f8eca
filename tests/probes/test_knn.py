"""KNNProbe against scikit-learn, faiss and a restatement of DINOv2's vote."""

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
from featstore.probes import KNNProbe, knn

ENGINES = ["torch", "faiss"]


@pytest.fixture(scope="module")
def split(digits):
    """1,000 training and 797 test digits; noise, as integer pixels give many equal distances."""
    X, y = digits
    X = X + 0.1 + 0.01 * np.random.default_rng(0).normal(size=X.shape)
    return X[:1000], y[:1000], X[1000:], y[1000:]


def dinov2_votes(train, labels, queries, k, temperature, n_classes):
    """KnnModule of facebookresearch/dinov2 (dinov2/eval/knn.py), restated in plain torch."""
    train, queries = (
        torch.nn.functional.normalize(torch.from_numpy(X), dim=1, p=2) for X in (train, queries)
    )
    similarities, indices = (queries @ train.T).topk(k, largest=True, sorted=True)
    neighbours = torch.from_numpy(labels)[indices]
    weights = torch.softmax(similarities / temperature, dim=1)
    one_hot = torch.nn.functional.one_hot(neighbours, n_classes)
    return (one_hot * weights[:, :, None]).sum(dim=1).numpy()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("k", [1, 10, 20, 200])
def test_votes_are_those_of_dinov2(split, engine, k):
    X, y, queries, _ = split
    probe = KNNProbe(k, engine=engine).fit(X, y)
    expected = dinov2_votes(X, y, queries, k, 0.07, 10)
    np.testing.assert_allclose(probe.predict_proba(queries), expected, atol=1e-5)
    np.testing.assert_array_equal(probe.predict(queries), expected.argmax(axis=1))


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
        patch.setattr(knn, "QUERY_ROWS", rows)
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


@pytest.mark.parametrize("engine", ENGINES)
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
        ({"weights": "distance"}, "weights must be one of"),
        ({"engine": "annoy"}, "engine must be one of"),
        ({"temperature": 0.0}, "temperature must be positive"),
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
