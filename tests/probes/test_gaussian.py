"""GaussianProbe against scikit-learn's GaussianNB and densities by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import norm
from sklearn.naive_bayes import GaussianNB

from featstore.errors import InvalidInputError
from featstore.probes import GaussianProbe


@pytest.mark.parametrize("smoothing", [1e-9, 1e-3, 1.0])
def test_naive_bayes_is_scikit_learns(digits, smoothing):
    X, y = digits
    for labels in (y, y % 2):
        probe = GaussianProbe(smoothing).fit(X[:1000], labels[:1000])
        model = GaussianNB(var_smoothing=smoothing).fit(X[:1000], labels[:1000])
        np.testing.assert_array_equal(probe.predict(X[1000:]), model.predict(X[1000:]))
        # Above 1e-26, where probabilities follow another rule.
        np.testing.assert_allclose(
            probe.predict_proba(X[1000:]), model.predict_proba(X[1000:]), atol=1e-5
        )
        assert not hasattr(probe, "coef_")


def log_densities(X, y, queries, variances, smoothing):
    found = []
    for label in range(y.max() + 1):
        rows = X[y == label]
        std = np.sqrt(variances + smoothing * X.var(axis=0).max())
        logs = norm.logpdf(queries, rows.mean(axis=0), std).sum(axis=1)
        found.append(logs + np.log(len(rows) / len(X)))
    return np.stack(found, axis=1)


def test_pooled_variances_make_a_linear_head(digits):
    X, y = digits
    X, y, queries = X[:1000], y[:1000], X[1000:]
    pooled = np.square(X - np.stack([X[y == c].mean(axis=0) for c in range(10)])[y]).mean(axis=0)
    for temperature, divisor in ((1.0, 1), ("n_features", 64)):
        probe = GaussianProbe(0.01, variances="pooled", temperature=temperature).fit(X, y)
        expected = log_densities(X, y, queries, pooled, 0.01)
        np.testing.assert_allclose(
            probe.predict_proba(queries), softmax(expected / divisor, axis=1), atol=1e-10
        )
        np.testing.assert_allclose(
            queries @ probe.coef_.T + probe.intercept_, probe.decision_function(queries), atol=1e-9
        )


@pytest.mark.parametrize("variances", ["per-class", "pooled"])
def test_labels_of_an_indicator(digits, variances):
    X, y = digits
    labels = np.stack([y == 3, y > 4, np.zeros_like(y), np.ones_like(y)], axis=1)
    make = {"variances": variances, "temperature": "n_features"}
    proba = GaussianProbe(0.01, **make).fit(X, labels).predict_proba(X)
    for column in (0, 1):
        alone = GaussianProbe(0.01, **make).fit(X, labels[:, column])
        np.testing.assert_allclose(proba[:, column], alone.predict_proba(X)[:, 1], atol=1e-10)
    np.testing.assert_array_equal(proba[:, 2], 0)
    np.testing.assert_array_equal(proba[:, 3], 1)


@pytest.mark.parametrize("variances", ["per-class", "pooled"])
def test_a_sweep_is_one_fit_per_value(digits, variances):
    X, y = digits
    values = [1e-3, 1e-6]
    swept = list(GaussianProbe(variances=variances).sweep(X[:500], y[:500], X[500:], values))
    assert [value for value, _ in swept] == values
    for value, scores in swept:
        alone = GaussianProbe(value, variances=variances).fit(X[:500], y[:500])
        np.testing.assert_allclose(scores, alone.predict_proba(X[500:]), atol=1e-12)


@pytest.mark.parametrize("variances", ["per-class", "pooled"])
def test_one_row_per_class(digits, variances):
    X, y = digits
    first = np.unique(y, return_index=True)[1]
    probe = GaussianProbe(variances=variances).fit(X[first], y[first])
    np.testing.assert_array_equal(probe.predict(X[first]), y[first])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"var_smoothing": 0.0}, "var_smoothing must be positive"),
        ({"variances": "full"}, "'per-class' or 'pooled', got 'full'"),
        ({"temperature": "hot"}, "a number or 'n_features', got 'hot'"),
        ({"temperature": -1.0}, "temperature must be positive"),
    ],
)
def test_bad_parameters(digits, arguments, match):
    with pytest.raises(InvalidInputError, match=match):
        GaussianProbe(**arguments).fit(*digits)
