"""CentroidProbe against scikit-learn's NearestCentroid and a restatement of SimpleShot."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize

from featstore.errors import InvalidInputError
from featstore.probes import CentroidProbe


@pytest.fixture(scope="module")
def split(digits):
    X, y = digits
    return X[:1000], y[:1000], X[1000:], y[1000:]


def test_euclidean_is_scikit_learns(split):
    X, y, queries, _ = split
    varying = X.std(axis=0) > 0  # it warns of others
    X, queries = X[:, varying], queries[:, varying]
    for labels in (y, y % 2):
        probe, model = CentroidProbe().fit(X, labels), NearestCentroid().fit(X, labels)
        np.testing.assert_allclose(probe.centroids_, model.centroids_, atol=1e-12)
        np.testing.assert_array_equal(probe.predict(queries), model.predict(queries))


def test_cosine_is_the_angle_to_the_mean_direction(split):
    X, y, queries, _ = split
    probe = CentroidProbe(0.1, metric="cosine").fit(X, y)
    directions = np.stack([normalize(X)[y == digit].sum(axis=0) for digit in range(10)])
    expected = cosine_similarity(queries, directions)
    np.testing.assert_allclose(probe.decision_function(queries), expected, atol=1e-12)
    np.testing.assert_allclose(
        probe.predict_proba(queries), softmax(expected / 0.1, axis=1), atol=1e-10
    )
    np.testing.assert_array_equal(probe.predict(queries), expected.argmax(axis=1))
    assert not hasattr(probe, "coef_")


def test_simpleshot(split):
    """CL2N of mileyan/simple_shot: subtract the mean, unit length, Euclidean nearest prototype."""
    X, y, queries, _ = split
    rows, asked = (normalize(Z - X.mean(axis=0)) for Z in (X, queries))
    prototypes = np.stack([rows[y == digit].mean(axis=0) for digit in range(10)])
    distances = np.square(asked[:, None] - prototypes).sum(axis=2)
    probe = CentroidProbe(0.3, normalise=True, centre=True).fit(X, y)
    np.testing.assert_array_equal(probe.predict(queries), distances.argmin(axis=1))
    np.testing.assert_allclose(
        probe.predict_proba(queries), softmax(-distances / 0.3, axis=1), atol=1e-10
    )


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_automatic_temperature(split, metric):
    X, y, _, _ = split
    probe = CentroidProbe(metric=metric).fit(X, y)
    if metric == "euclidean":
        expected = np.square(X - probe.centroids_[y]).sum(axis=1).mean()
    else:
        expected = 1 - (normalize(X) * probe.centroids_[y]).sum(axis=1).mean()
    assert probe.temperature_ == pytest.approx(expected)
    assert probe.chosen_by_ == "mean distance within classes"


def test_a_linear_head_is_published(split):
    X, y, queries, _ = split
    probe = CentroidProbe().fit(X, y)
    np.testing.assert_allclose(
        queries @ probe.coef_.T + probe.intercept_, probe.decision_function(queries), atol=1e-10
    )


@pytest.mark.parametrize("arguments", [{}, {"metric": "cosine"}, {"normalise": True}])
def test_labels_of_an_indicator(split, arguments):
    X, y, queries, _ = split
    labels = np.stack([y == 3, y > 4, np.zeros_like(y), np.ones_like(y)], axis=1)
    probe = CentroidProbe(1.0, **arguments).fit(X, labels)
    proba = probe.predict_proba(queries)
    for column in (0, 1):
        alone = CentroidProbe(1.0, **arguments).fit(X, labels[:, column])
        np.testing.assert_allclose(proba[:, column], alone.predict_proba(queries)[:, 1], atol=1e-10)
    np.testing.assert_array_equal(proba[:, 2], 0)
    np.testing.assert_array_equal(proba[:, 3], 1)


@pytest.mark.parametrize("arguments", [{}, {"metric": "cosine"}, {"normalise": True}])
def test_one_row_per_class_is_nearest_neighbour(split, arguments):
    X, y, queries, _ = split
    first = np.unique(y, return_index=True)[1]
    probe = CentroidProbe(**arguments).fit(X[first], y[first])
    rows, asked = (
        (X[first], queries) if not arguments else (normalize(X[first]), normalize(queries))
    )
    distances = np.square(asked[:, None] - rows).sum(axis=2)
    # Pixels are few whole numbers: two rows may be equally near, and rounding decides.
    chosen = np.searchsorted(y[first], probe.predict(queries))
    nearest = distances.min(axis=1)
    np.testing.assert_allclose(distances[np.arange(len(queries)), chosen], nearest, rtol=1e-12)
    assert probe.predict_proba(queries).max(axis=1).min() < 0.9  # not all or nothing


def test_the_temperature_sweep_keeps_the_prediction(split):
    X, y, queries, _ = split
    swept = list(CentroidProbe().sweep(X, y, queries, [0.1, 10.0]))
    for temperature, proba in swept:
        alone = CentroidProbe(temperature).fit(X, y)
        np.testing.assert_allclose(proba, alone.predict_proba(queries), atol=1e-12)
        np.testing.assert_array_equal(proba.argmax(axis=1), alone.predict(queries))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"metric": "manhattan"}, "'euclidean' or 'cosine', got 'manhattan'"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"temperature": "warm"}, "a number or 'auto', got 'warm'"),
    ],
)
def test_bad_parameters(split, arguments, match):
    with pytest.raises(InvalidInputError, match=match):
        CentroidProbe(**arguments).fit(*split[:2])
