"""Moments against NumPy, far from zero, in any order, wide and tall."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from featstore.errors import InvalidInputError
from featstore.probes.class_sums import ClassMoments
from featstore.probes.inputs import Targets
from featstore.probes.moments import Moments
from featstore.probes.stream import BLOCK_ROWS, RowStream


class Estimator(BaseEstimator):
    """Something for scikit-learn to remember the columns of."""


def stream_of(X: NDArray[np.floating]) -> RowStream:
    return RowStream.of(Estimator(), X, reset=True)


def moments_of(X, y, **arguments):
    targets = Targets.of(y, n_samples=len(X))
    return Moments.of(stream_of(X), targets, **arguments)


def original(moments: Moments, rows: torch.Tensor) -> NDArray[np.float64]:
    """Rows (m, r) of coordinates in the columns of the features."""
    found = rows if moments.rotation is None else rows @ moments.rotation.T
    return found.numpy()


@pytest.fixture(scope="module")
def blobs():
    """Three blocks of rows, sorted by class, each class far from zero and from the others."""
    rng = np.random.default_rng(0)
    y = np.sort(rng.integers(0, 4, size=2 * BLOCK_ROWS + 77))
    return 1e5 + 1e3 * y[:, None] + rng.normal(size=(len(y), 70)), y


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-6)])
def test_sums_of_products_far_from_zero(blobs, dtype, tolerance):
    X, y = blobs
    moments = moments_of(X, y, dtype=dtype)
    centred = X - X.mean(axis=0)
    np.testing.assert_allclose(moments.mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.scatter, centred.T @ centred, rtol=tolerance)
    np.testing.assert_array_equal(moments.counts, np.bincount(y))
    for label in range(4):
        np.testing.assert_allclose(
            moments.sums[label], centred[y == label].sum(axis=0), rtol=1e-9, atol=1e-5
        )
    assert torch.equal(moments.scatter, moments.scatter.T)


def test_few_rows_have_the_moments_of_their_span(blobs):
    X, y = blobs[0][::100][:40], blobs[1][::100][:40]
    moments = moments_of(X, y)
    assert tuple(moments.rotation.shape) == (70, 40)
    centred = X - X.mean(axis=0)
    coordinates = moments.coordinates(torch.from_numpy(X))
    np.testing.assert_allclose(original(moments, coordinates), centred, atol=1e-8)
    np.testing.assert_allclose(moments.scatter, coordinates.T @ coordinates, rtol=1e-9, atol=1e-2)
    found = original(moments, moments.sums)
    for row, label in enumerate(np.unique(y)):
        np.testing.assert_allclose(found[row], centred[y == label].sum(axis=0), atol=1e-7)


@pytest.mark.parametrize("n", [40, 1000])
def test_standardised_columns(digits, n):
    X, y = digits[0][:n], digits[1][:n]
    moments = moments_of(X, y, std_offset=0.5)
    std = X.std(axis=0)
    expected = (X - X.mean(axis=0)) * np.where(std > 0, 1 / (std + 0.5), 0)
    coordinates = moments.coordinates(torch.from_numpy(X))
    np.testing.assert_allclose(original(moments, coordinates), expected, atol=1e-12)
    np.testing.assert_allclose(moments.scatter, coordinates.T @ coordinates, atol=1e-9)
    weights = torch.ones(1, moments.scatter.shape[0], dtype=torch.float64)
    np.testing.assert_allclose(
        (torch.from_numpy(X) - moments.mean) @ moments.to_features(weights).T,
        coordinates.sum(dim=1, keepdim=True),
        atol=1e-10,
    )


def test_a_constant_column_is_constant_also_where_its_mean_is_rounded():
    rng = np.random.default_rng(0)
    X = np.c_[np.full(5000, 0.1), rng.normal(size=5000)]
    scale = moments_of(X, rng.integers(0, 2, size=5000), std_offset=0.0).scale
    assert scale[0] == 0
    assert scale[1] == pytest.approx(1, abs=0.05)


def test_large_features_of_little_precision_take_float32_products(monkeypatch, digits):
    X, y = digits
    monkeypatch.setattr("featstore.probes.moments._FLOAT64_BELOW", 1000)
    exact = moments_of(X, y)  # float64 features ask for float64
    single, half = (moments_of(X.astype(dtype), y) for dtype in (np.float32, np.float16))
    forced = moments_of(X.astype(np.float32), y, dtype="float32")
    assert torch.equal(single.scatter, forced.scatter)
    assert not torch.equal(single.scatter, exact.scatter)
    assert exact.noise < 1e-12 < half.noise
    error = torch.linalg.matrix_norm(single.scatter - exact.scatter, 2)
    assert error < single.noise * torch.linalg.matrix_norm(exact.scatter, 2)


def test_indicators_may_overlap_and_be_empty(digits):
    X, y = digits
    labels = np.stack([y > 4, y % 2 == 0, np.zeros_like(y)], axis=1)
    centred = X - X.mean(axis=0)
    moments = moments_of(X, labels)
    np.testing.assert_array_equal(moments.counts, labels.sum(axis=0))
    np.testing.assert_allclose(moments.sums, labels.T @ centred, atol=1e-9)


def test_class_moments_far_from_zero(blobs):
    X, y = blobs
    targets = Targets.of(y, n_samples=len(X))
    moments = ClassMoments.of(stream_of(X), targets, torch.device("cpu"))
    for label in range(4):
        rows = X[y == label]
        np.testing.assert_allclose(
            moments.means[label] + moments.centre, rows.mean(axis=0), rtol=1e-12
        )
        np.testing.assert_allclose(moments.variances[label], rows.var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(moments.variance, X.var(axis=0), rtol=1e-9)


def test_unknown_precision(digits):
    with pytest.raises(InvalidInputError, match="'float32' or 'float64', got 'half'"):
        moments_of(*digits, dtype="half")
