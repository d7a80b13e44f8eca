"""LDAProbe against scikit-learn's LinearDiscriminantAnalysis and ledoit_wolf."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from featstore.errors import InvalidInputError
from featstore.probes import LDAProbe


def oracle(shrinkage):
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)


@pytest.mark.parametrize("shrinkage", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("n", [40, 1000])
def test_posteriors_are_those_of_scikit_learn(digits, n, shrinkage):
    X, y = digits
    for labels in (y[:n], y[:n] % 2):
        probe = LDAProbe(shrinkage).fit(X[:n], labels)
        model = oracle(shrinkage).fit(X[:n], labels)
        np.testing.assert_allclose(probe.predict_proba(X), model.predict_proba(X), atol=1e-9)
        np.testing.assert_array_equal(probe.predict(X), model.predict(X))
        assert (probe.shrinkage_, probe.chosen_by_) == (shrinkage, "")


def test_without_shrinkage_constant_and_duplicate_columns_are_left_out(digits):
    X, y = digits
    X = np.c_[X, X[:, 20:25], np.full(len(X), 7.0)]
    probe = LDAProbe(0).fit(X[:1000], y[:1000])
    model = oracle(0).fit(X[:1000], y[:1000])
    np.testing.assert_allclose(probe.predict_proba(X), model.predict_proba(X), atol=1e-6)
    assert probe.certificate_.rank < 64


def test_ledoit_wolf_of_the_pooled_residuals(digits):
    X, y = digits
    for n in (50, 1000):
        means = np.stack([X[:n][y[:n] == digit].mean(axis=0) for digit in range(10)])
        expected = ledoit_wolf(X[:n] - means[y[:n]], assume_centered=True)[1]
        probe = LDAProbe().fit(X[:n], y[:n])
        assert probe.shrinkage_ == pytest.approx(expected, rel=1e-9)
        assert probe.chosen_by_ == "Ledoit–Wolf"


def test_ledoit_wolf_of_an_indicator_is_that_of_all_rows(digits):
    X, y = digits[0][:500], digits[1][:500]
    probe = LDAProbe().fit(X, np.stack([y > 4, y % 2 == 0], axis=1))
    assert probe.shrinkage_ == pytest.approx(ledoit_wolf(X)[1], rel=1e-9)


@pytest.mark.parametrize("n", [50, 1000])
@pytest.mark.parametrize("shrinkage", [0.0, 0.1, 1.0])
def test_every_label_of_an_indicator_is_a_problem_of_its_own(digits, n, shrinkage):
    X, y = digits
    if shrinkage == 0:
        X, n = X[:, 20:45], 1000  # of full rank: with fewer rows every label is separable
        X = X + 0.01 * np.random.default_rng(0).normal(size=X.shape)
    labels = np.stack([y > 4, y % 2 == 0, y == 3], axis=1)
    probe = LDAProbe(shrinkage).fit(X[:n], labels[:n])
    for column, label in enumerate(labels.T):
        model = oracle(shrinkage).fit(X[:n], label[:n])
        np.testing.assert_allclose(
            probe.predict_proba(X)[:, column], model.predict_proba(X)[:, 1], atol=1e-8
        )


def test_constant_labels_and_rows_without_labels(digits):
    X, y = digits
    labels = np.stack([y == 3, np.zeros_like(y), np.ones_like(y)], axis=1)
    proba = LDAProbe(0.1).fit(X, labels).predict_proba(X)
    np.testing.assert_array_equal(proba[:, 1], 0)
    np.testing.assert_array_equal(proba[:, 2], 1)
    assert np.isfinite(proba).all()


def test_one_row_per_class_has_no_covariance(digits):
    X, y = digits
    first = np.unique(y, return_index=True)[1]
    with pytest.raises(InvalidInputError, match="use the centroid probe"):
        LDAProbe(0.1).fit(X[first], y[first])


def test_a_sweep_is_one_fit_per_value(digits):
    X, y = digits
    values = [0.9, 0.0, 0.2]
    swept = list(LDAProbe().sweep(X[:500], y[:500], X[500:], values))
    assert [value for value, _ in swept] == values
    for value, scores in swept:
        expected = LDAProbe(value).fit(X[:500], y[:500]).predict_proba(X[500:])
        np.testing.assert_allclose(scores, expected, atol=1e-12)


def test_conditioning(digits):
    X, y = digits
    certificate = LDAProbe(0.1).fit(X, y).certificate_
    S = sum(np.cov(X[y == c].T, bias=True) * (y == c).mean() for c in range(10))
    eigenvalues = np.linalg.eigvalsh(0.9 * S + 0.1 * np.trace(S) / 64 * np.eye(64))
    assert certificate.condition_number == pytest.approx(eigenvalues[-1] / eigenvalues[0])
    assert certificate.rank == 64
    assert certificate.residual < 1e-12


def test_far_classes_keep_their_order_in_float32():
    """Posteriors below 1e-45 are nothing in float32; ties would break top-5 accuracy."""
    rng = np.random.default_rng(0)
    means = 40.0 * np.arange(8)[:, None] + np.zeros(3)
    y = np.repeat(np.arange(8), 50)
    X = means[y] + rng.normal(size=(400, 3))
    proba = LDAProbe(0.01).fit(X, y).predict_proba(X).astype(np.float32)
    of_first = proba[y == 0]
    assert (np.diff(of_first, axis=1) < 0).all()
    np.testing.assert_allclose(of_first[:, 0], 1)


def test_log_odds_are_the_decision(digits):
    X, y = digits
    probe = LDAProbe(0.1).fit(X, y == 3)
    scores = probe.decision_function(X)
    assert scores.shape == (len(X),)
    np.testing.assert_allclose(probe.predict_proba(X)[:, 1], expit(scores), atol=1e-12)


@pytest.mark.parametrize(
    ("shrinkage", "match"), [(1.1, "in \\[0, 1\\], got 1.1"), ("lw", "a number or 'auto'")]
)
def test_bad_parameters(digits, shrinkage, match):
    with pytest.raises(InvalidInputError, match=match):
        LDAProbe(shrinkage).fit(*digits)
