"""Similarity of blocks: against dense formulas, scikit-learn, and what leaves a measure alone."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import NearestNeighbors

from featstore.analysis import block_moments
from featstore.analysis.block_moments import BlockMoments
from featstore.analysis.cca import pwcca, svcca
from featstore.analysis.cka import linear_cka, minibatch_cka
from featstore.analysis.linear_map import linear_map_r2
from featstore.analysis.mutual_neighbours import mutual_knn
from featstore.analysis.similarity import SimilaritySettings, similarity
from featstore.errors import InvalidInputError


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Sums are to go over several batches, the last of them short."""
    monkeypatch.setattr(block_moments, "_BATCH", 37)


def pair(n=120, d=5, e=4, *, seed=0, shift=3.0):
    """Two blocks that share two directions, one more clearly than the other.

    With equal correlations, PWCCA would depend on the basis that a solver happens to take.
    """
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 2))
    X = np.hstack([shared, rng.normal(size=(n, d - 2))]) @ rng.normal(size=(d, d)) + shift
    shared = shared + [0.2, 0.6] * rng.normal(size=(n, 2))
    Y = np.hstack([shared, rng.normal(size=(n, e - 2))]) @ rng.normal(size=(e, e)) - shift
    return X, Y


def hsic_song(K, L):
    """Equation 5 of Song et al. (2012), as it is written there."""
    n = len(K)
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    one = np.ones(n)
    middle = (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
    return (np.trace(K @ L) + middle - 2 / (n - 2) * (one @ K @ L @ one)) / (n * (n - 3))


def hsic_gretton(K, L):
    H = np.eye(len(K)) - 1 / len(K)
    return np.trace(K @ H @ L @ H)


@pytest.mark.parametrize(("unbiased", "hsic"), [(True, hsic_song), (False, hsic_gretton)])
@pytest.mark.parametrize("shape", [(120, 5, 4), (20, 40, 30)])
def test_cka_is_the_dense_formula(unbiased, hsic, shape):
    X, Y = pair(*shape)
    K, L = X @ X.T, Y @ Y.T
    expected = hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))
    assert linear_cka(X, Y, unbiased=unbiased) == pytest.approx(expected, abs=1e-10)


def test_minibatch_cka_is_a_ratio_of_means_over_batches():
    X, Y = pair(96)
    order = np.random.default_rng(3).permutation(96)
    sums = np.zeros(3)
    for rows in order.reshape(3, 32):
        K, L = X[rows] @ X[rows].T, Y[rows] @ Y[rows].T
        sums += [hsic_song(K, L), hsic_song(K, K), hsic_song(L, L)]
    expected = sums[0] / np.sqrt(sums[1] * sums[2])
    assert minibatch_cka(X, Y, batch_size=32, seed=3) == pytest.approx(expected, abs=1e-10)


def test_the_unbiased_cka_of_unrelated_blocks_is_near_zero():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 200)), rng.normal(size=(60, 200))
    assert abs(linear_cka(X, Y)) < 0.1
    assert linear_cka(X, Y, unbiased=False) > 0.6


def test_mean_cca_is_scikit_learns():
    X, Y = pair()
    a, b = CCA(4, scale=False, max_iter=5000, tol=1e-12).fit_transform(X, Y)
    expected = np.mean([np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(4)])
    assert svcca(X, Y, variance=1) == pytest.approx(expected, abs=1e-6)


def test_svcca_is_cca_of_principal_components():
    X, Y = pair()
    components = [PCA(0.9, svd_solver="full").fit_transform(block) for block in (X, Y)]
    assert components[0].shape[1] < X.shape[1]
    expected = svcca(*components, variance=1)
    assert svcca(X, Y, variance=0.9) == pytest.approx(expected, abs=1e-9)


def test_pwcca_weights_by_projections():
    X, Y = pair()
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    Qx, Qy = np.linalg.qr(X)[0], np.linalg.qr(Y)[0]
    U, rho, _ = np.linalg.svd(Qx.T @ Qy, full_matrices=False)
    alpha = np.abs((Qx @ U).T @ X).sum(axis=1)
    assert pwcca(X, Y) == pytest.approx(alpha @ rho / alpha.sum(), abs=1e-9)
    assert pwcca(X, Y) != pytest.approx(pwcca(Y, X), abs=1e-3)


@pytest.mark.parametrize("shape", [(120, 5, 4), (30, 40, 3)])
def test_r2_is_of_least_squares_on_the_other_folds(shape):
    X, Y = pair(*shape)
    folds = BlockMoments.of(X, folds=4, seed=1).folds
    error = spread = 0.0
    for fold in range(4):
        rest, here = folds != fold, folds == fold
        model = LinearRegression().fit(X[rest], Y[rest])  # of least norm where n < d
        error += np.square(Y[here] - model.predict(X[here])).sum()
        spread += np.square(Y[here] - Y[rest].mean(axis=0)).sum()
    assert linear_map_r2(X, Y, folds=4, seed=1) == pytest.approx(1 - error / spread, abs=1e-6)


def test_a_part_is_predicted_by_the_whole_and_not_the_other_way():
    X, _ = pair(300)
    assert linear_map_r2(X, X[:, :2]) == pytest.approx(1, abs=1e-9)
    assert linear_map_r2(X[:, :2], X) < 0.9


def test_mutual_neighbours_are_scikit_learns():
    X, Y = pair(80)
    sets = []
    for block in (X, Y):
        search = NearestNeighbors(n_neighbors=6, metric="cosine").fit(block)
        sets.append([set(row) for row in search.kneighbors(return_distance=False)])
    expected = np.mean([len(a & b) / 6 for a, b in zip(*sets, strict=True)])
    assert mutual_knn(X, Y, k=6) == pytest.approx(expected)


def test_mutual_neighbours_of_unrelated_blocks_are_as_many_as_chance():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 1500, 8))
    assert mutual_knn(X, Y, k=10, n_rows=400) == pytest.approx(10 / 399, abs=0.01)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_what_leaves_a_measure_alone(seed, factor, shift):
    X, Y = pair(seed=seed, shift=0.0)
    rotation = ortho_group(5).rvs(random_state=seed)
    turned = factor * X @ rotation
    for measure in (linear_cka, svcca, mutual_knn, linear_map_r2):
        assert measure(turned, Y) == pytest.approx(measure(X, Y), abs=1e-6)
    for measure in (linear_cka, svcca, linear_map_r2):  # neighbours are by angles from zero
        assert measure(turned + shift, Y) == pytest.approx(measure(X, Y), abs=1e-6)
    sheared = X @ (np.eye(5) + np.triu(np.ones((5, 5)), 1))
    assert svcca(sheared, Y, variance=1) == pytest.approx(svcca(X, Y, variance=1), abs=1e-8)
    assert linear_map_r2(sheared, Y) == pytest.approx(linear_map_r2(X, Y), abs=1e-8)
    assert linear_cka(sheared, Y) != pytest.approx(linear_cka(X, Y), abs=1e-8)


def test_constant_and_repeated_columns_change_nothing():
    X, Y = pair()
    padded = np.hstack([X, np.full((len(X), 2), 7.0)])
    for measure in (linear_cka, pwcca, linear_map_r2):
        assert measure(padded, Y) == pytest.approx(measure(X, Y), abs=1e-8)
    doubled = np.hstack([X, X[:, :2]])
    assert svcca(doubled, Y, variance=1) == pytest.approx(svcca(X, Y, variance=1), abs=1e-8)
    assert linear_map_r2(doubled, Y) == pytest.approx(linear_map_r2(X, Y), abs=1e-8)


def test_far_from_zero_nothing_cancels():
    X, Y = pair(shift=0.0)
    for measure in (linear_cka, svcca, pwcca, linear_map_r2):
        assert measure(X + 1e5, Y - 1e5) == pytest.approx(measure(X, Y), abs=1e-6)


def test_the_frame_has_every_ordered_pair():
    X, Y = pair()
    frame = similarity({"x": X, "y": Y, "z": X[:, :3]}, SimilaritySettings(folds=4, k=7))
    values = frame.set_index(["a", "b", "measure"])["value"]
    assert len(frame) == len(values.index.unique()) == 6 * 5
    assert values["x", "y", "cka"] == values["y", "x", "cka"] == pytest.approx(linear_cka(X, Y))
    assert values["y", "x", "r2"] == pytest.approx(linear_map_r2(Y, X, folds=4))
    assert values["x", "y", "r2"] == pytest.approx(linear_map_r2(X, Y, folds=4))
    assert values["y", "x", "pwcca"] == pytest.approx(pwcca(Y, X))
    assert values["x", "z", "mutual_knn"] == mutual_knn(X, X[:, :3], k=7)


def test_rows_are_read_in_batches_and_not_held(monkeypatch):
    monkeypatch.setattr(block_moments, "_BATCH", 4096)
    X = np.random.default_rng(0).normal(size=(100_000, 32)).astype(np.float16)
    tracemalloc.start()
    linear_map_r2(X, X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.size * 8 / 2  # of what one block has in float64


def test_tensors_are_arrays():
    torch = pytest.importorskip("torch")
    X, Y = pair()
    assert linear_cka(torch.tensor(X, requires_grad=True), Y) == linear_cka(X, Y)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X, Y: linear_cka(X, Y[:-1]), "120 and 119 rows"),
        (lambda X, Y: linear_cka(X, np.ones_like(Y)), "all 120 rows of a block .* are equal"),
        (lambda X, Y: linear_cka(X[:3], Y[:3]), "needs 4 rows, got 3"),
        (lambda X, Y: linear_cka(X, np.where(Y[50, 1] == Y, np.nan, Y)), "row 50 of .* holds NaN"),
        (lambda X, Y: linear_cka(X[0], Y), "matrix"),
        (lambda X, Y: minibatch_cka(X, Y, batch_size=121), "batches of 121 from 120 rows"),
        (lambda X, Y: svcca(X, Y, variance=1.5), r"share in \(0, 1\], got 1.5"),
        (lambda X, Y: linear_map_r2(X, Y, folds=1), "two folds"),
        (lambda X, Y: linear_map_r2(X, Y, folds=121), "120 rows cannot be divided into 121"),
        (lambda X, Y: mutual_knn(X, Y, k=120), "119 neighbours each, got k = 120"),
        (lambda X, Y: mutual_knn(X, np.where(Y[5, 1] == Y, np.inf, Y)), "row 5 holds"),
        (lambda X, Y: similarity({"x": X}), "two blocks or more"),
        (lambda X, Y: SimilaritySettings(("ckaa",)), "did you mean cka"),
    ],
)
def test_bad_input_is_one_clear_error(call, message):
    with pytest.raises(InvalidInputError, match="(?i)" + message):
        call(*pair())
