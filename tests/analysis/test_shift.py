"""Shift: against plain formulas, and tests that keep their level on random halves of one set."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigvals
from scipy.stats import chi2_contingency, kstest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import cross_val_predict

from featstore.analysis import (
    classifier_two_sample,
    frechet_distance,
    label_shift,
    mmd,
    random_frechet,
    shift,
)
from featstore.errors import InvalidInputError
from featstore.folds import stratified_folds


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


def plain_mmd(X, Y, bandwidth):
    gamma = 1 / (2 * bandwidth**2)
    n, m = len(X), len(Y)
    xx, yy, xy = (rbf_kernel(a, b, gamma=gamma) for a, b in ((X, X), (Y, Y), (X, Y)))
    within = (xx.sum() - n) / (n * (n - 1)) + (yy.sum() - m) / (m * (m - 1))
    return within - 2 * xy.mean()


def test_mmd_is_the_formula(digits):
    X, _ = digits
    result = mmd(X[:300], X[300:500], bandwidth=20.0)
    assert result.value == pytest.approx(plain_mmd(X[:300], X[300:500], 20.0), abs=1e-10)
    assert result.blocks == 1
    distances = np.linalg.norm(X[:500, None] - X[None, :500], axis=2)[np.triu_indices(500, 1)]
    assert mmd(X[:300], X[300:500]).bandwidth == pytest.approx(np.median(distances))


def test_mmd_of_blocks_is_the_mean_over_them(digits):
    X, _ = digits
    rng = np.random.default_rng(3)
    parts = [np.array_split(rng.permutation(n), 4) for n in (400, 300)]
    expected = np.mean(
        [plain_mmd(X[:400][a], X[400:700][b], 25.0) for a, b in zip(*parts, strict=True)]
    )
    result = mmd(X[:400], X[400:700], bandwidth=25.0, block_rows=200, seed=3)
    assert result.blocks == 4
    assert result.value == pytest.approx(expected, abs=1e-10)


def test_permutations_are_of_the_pooled_rows(digits):
    """With all divisions of a tiny sample, p is the share of those as far apart as it is."""
    X = digits[0][[0, 10, 20, 1, 11]]
    from itertools import combinations

    values = []
    for chosen in combinations(range(5), 3):
        rest = [row for row in range(5) if row not in chosen]
        values.append(plain_mmd(X[list(chosen)], X[rest], 30.0))
    exact = np.mean(np.array(values) >= values[0] - 1e-12)
    result = mmd(X[:3], X[3:], bandwidth=30.0, n_permutations=4000)
    assert result.p == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize("rows", [slice(None), slice(0, 60)])
def test_frechet_is_the_matrix_formula(digits, rows):
    X = digits[0][:, 2:40]
    a, b = X[::2][rows], X[1::2][rows] * 1.1
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    # The eigenvalues of a root are the roots of the eigenvalues.
    trace_of_root = np.sqrt(np.maximum(eigvals(cov_a @ cov_b).real, 0)).sum()
    shift_of_means = a.mean(0) - b.mean(0)
    expected = shift_of_means @ shift_of_means + np.trace(cov_a + cov_b) - 2 * trace_of_root
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-4)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)


def test_frechet_of_fewer_rows_than_columns(digits):
    X = digits[0]
    few = frechet_distance(X[:20], X[20:40])
    assert 0 < few < np.inf
    assert random_frechet(X[:20], X[20:40]) > random_frechet(X[:400], X[400:800])


def test_the_classifier_is_scikit_learns(digits):
    X, y = digits
    a, b = X[y < 5][:300], X[y >= 5][:200]
    result = classifier_two_sample(a, b, C=0.01, folds=5, seed=1)
    rows = np.concatenate([a, b])
    spread = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)
    second = np.repeat([0, 1], (300, 200))
    fold_of = stratified_folds(second, 5, seed=1)
    splits = [(np.flatnonzero(fold_of != f), np.flatnonzero(fold_of == f)) for f in range(5)]
    model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000, tol=1e-8)
    scores = cross_val_predict(model, rows, second, cv=splits, method="predict_proba")[:, 1]
    accuracy = np.mean([((scores > 0.5) == second)[second == c].mean() for c in (0, 1)])
    assert result.accuracy == pytest.approx(accuracy, abs=0.005)
    assert result.a_distance == pytest.approx(2 * (2 * result.accuracy - 1))
    aucs = [roc_auc_score(second[fold_of == f], scores[fold_of == f]) for f in range(5)]
    assert result.auc == pytest.approx(np.mean(aucs), abs=1e-3)
    assert result.p < 1e-10


def p_values(test, X, n, *, draws):
    """p of a test on random divisions of random rows of one set."""
    rng = np.random.default_rng(0)
    found = []
    for draw in range(draws):
        rows = X[rng.choice(len(X), n, replace=False)]
        found.append(test(rows[: n // 3], rows[n // 3 :], draw))
    return np.array(found)


TESTS = {
    "mmd": lambda a, b, seed: mmd(a, b, n_permutations=99, seed=seed).p,
    "mmd, blocks": lambda a, b, seed: mmd(a, b, n_permutations=99, block_rows=40, seed=seed).p,
    "classifier": lambda a, b, seed: classifier_two_sample(a, b, folds=2, seed=seed).p,
}


@pytest.mark.parametrize("name", TESTS)
def test_p_is_uniform_on_random_divisions_of_one_set(digits, name):
    p = p_values(TESTS[name], digits[0], 120, draws=120)
    assert kstest(p, "uniform").pvalue > 0.01
    assert 0.005 <= (p <= 0.05).mean() <= 0.12


def test_p_of_labels_is_uniform_on_random_divisions(digits):
    y = digits[1]
    names = tuple(map(str, range(10)))
    p = p_values(lambda a, b, _: label_shift(a, b, names).p, y, 600, draws=300)
    assert kstest(p, "uniform").pvalue > 0.01


def test_a_small_shift_is_found(digits):
    X = digits[0]
    moved = X[900:] + np.where(np.arange(64) == 20, 3.0, 0.0)
    frame = shift(X[:900], moved, n_permutations=99).set_index("measure")
    assert frame["p"]["held_out_auc"] < 1e-4
    assert frame["value"]["accuracy"] > 0.55
    assert frame["value"]["frechet"] > frame["reference"]["frechet"]
    none = shift(X[::2], X[1::2], n_permutations=99).set_index("measure")
    assert none["value"]["accuracy"] == pytest.approx(0.5, abs=0.05)
    assert none["value"]["frechet"] == pytest.approx(none["reference"]["frechet"], rel=0.3)


def test_one_seed_one_result(digits):
    X = digits[0]
    options = {"n_rows": 150, "n_permutations": 50}
    frames = [shift(X[:900], X[900:], seed=seed, **options) for seed in (0, 0, 1)]
    assert frames[0].equals(frames[1])
    assert not frames[0].equals(frames[2])


def test_label_shift_is_scipys(digits):
    y = digits[1]
    a, b = y[:900], y[900:][y[900:] != 3]
    names = (*map(str, range(10)), "never")
    result = label_shift(a, b, names)
    counts = np.stack([np.bincount(a, minlength=10), np.bincount(b, minlength=10)])
    expected = chi2_contingency(counts, correction=False)
    assert (result.chi2, result.dof, result.p) == pytest.approx(
        (expected.statistic, 9, expected.pvalue)
    )
    for code in range(10):
        table = np.stack([counts[:, code], counts.sum(axis=1) - counts[:, code]])
        p = chi2_contingency(table, correction=False).pvalue
        assert result.classes["p"][code] == pytest.approx(p)
    assert np.isnan(result.classes["p"][10])
    assert result.classes["q"].idxmin() == 3


def test_label_shift_of_several_labels(tagged):
    result = label_shift(tagged.truth[:70], tagged.truth[70:], tagged.classes)
    assert np.isnan(result.p)
    assert result.classes["n_a"].tolist() == tagged.truth[:70].sum(axis=0).tolist()


def test_what_cannot_be_compared_is_refused(digits):
    X = digits[0]
    broken = X[:50].copy()
    broken[7, 3] = np.inf
    with pytest.raises(InvalidInputError, match="first row 7"):
        shift(X[:50], broken)
    with pytest.raises(InvalidInputError, match="two rows or more"):
        mmd(X[:50], X[:50, :3])
    with pytest.raises(InvalidInputError, match="3 rows of a sample are too few"):
        classifier_two_sample(X[:50], X[:3])
    with pytest.raises(InvalidInputError, match="fewer than two rows"):
        mmd(X[:500], X[:3], block_rows=100)
    with pytest.raises(InvalidInputError, match="most rows are equal"):
        mmd(np.ones((5, 2)), np.ones((5, 2)))
    with pytest.raises(InvalidInputError, match="one kind of label"):
        label_shift(np.array([0]), np.zeros((2, 1), bool), ("x",))
