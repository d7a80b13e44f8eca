"""Probes on many subsets at once are the same probes fitted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from featstore.errors import InvalidInputError
from featstore.probes import CentroidProbe, KNNProbe, LDAProbe, LogisticProbe, RidgeProbe
from featstore.subset_scores import score_one_by_one, score_subsets

PROBES = {
    "logistic": LogisticProbe(1.0, tol=1e-10),
    "ridge": RidgeProbe(2.0),
    "ridge-loo": RidgeProbe("loo"),
    "bigvision": RidgeProbe(1024.0, standardise=True, std_offset=1e-5, bias=100.0),
    "centroid": CentroidProbe(),
    "cosine": CentroidProbe(metric="cosine"),
    "centred cosine": CentroidProbe(metric="cosine", centre=True),
    "normalised": CentroidProbe(normalise=True),
    "simpleshot": CentroidProbe(normalise=True, centre=True),
    "lda": LDAProbe(0.5),
    "knn": KNNProbe(3),
}


@pytest.fixture(scope="module")
def problem(digits):
    """Wide features far from zero, and subsets of several shapes."""
    X, y = digits
    rng = np.random.default_rng(0)
    X = np.tanh(X @ rng.normal(size=(64, 150))) + 7
    subsets = [np.sort(rng.choice(1000, size, replace=False)) for size in (40, 40, 60, 25)]
    return X.astype(np.float32), y, subsets


def centred(scores):
    """Scores up to what a softmax does not notice."""
    return scores - scores.mean(axis=1, keepdims=True)


def by_subset(found):
    return {(one.subset, one.value): one for one in found}


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("asked", [False, True])
def test_together_is_one_by_one(problem, name, asked):
    X, y, subsets = problem
    queries = X[1000:1300]
    rows = [np.arange(i, 300, 4) for i in range(4)] if asked else None
    probe = clone(PROBES[name])
    together = list(score_subsets(probe, X, y, subsets, queries, asked=rows))
    alone = {
        one.subset: one
        for one in score_one_by_one(clone(probe), X, y, subsets, queries, asked=rows)
    }
    assert sorted(one.subset for one in together) == [0, 1, 2, 3]
    for one in together:
        other = alone[one.subset]
        np.testing.assert_array_equal(one.classes, other.classes)
        best = np.sort(other.scores, axis=1)
        clear = best[:, -1] - best[:, -2] > 1e-4
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(
            one.scores.argmax(axis=1)[clear], other.scores.argmax(axis=1)[clear]
        )
        assert one.converged


@pytest.mark.parametrize("name", ["logistic", "ridge", "bigvision"])
def test_scores_are_the_decision_function(problem, name):
    X, y, subsets = problem
    for one in score_subsets(clone(PROBES[name]), X, y, subsets, X[1000:]):
        fitted = clone(PROBES[name]).fit(X[subsets[one.subset]], y[subsets[one.subset]])
        expected = fitted.decision_function(X[1000:])
        np.testing.assert_allclose(centred(one.scores), centred(expected), atol=2e-4)


@pytest.mark.parametrize(("name", "values"), [("logistic", [0.1, 10.0]), ("ridge", [0.5, 50.0])])
def test_every_value_is_a_fit_of_its_own(problem, name, values):
    X, y, subsets = problem
    found = by_subset(score_subsets(clone(PROBES[name]), X, y, subsets, X[1000:], values))
    assert set(found) == {(i, value) for i in range(4) for value in values}
    for (i, value), one in found.items():
        probe = clone(PROBES[name])
        probe.set_params(**{probe.parameter: value}).fit(X[subsets[i]], y[subsets[i]])
        expected = probe.decision_function(X[1000:])
        np.testing.assert_allclose(centred(one.scores), centred(expected), atol=2e-4)


@pytest.mark.parametrize("name", ["logistic", "ridge", "centroid", "simpleshot"])
def test_two_classes_and_one_row_each(problem, name):
    X, y, _ = problem
    pairs = [
        np.array([np.flatnonzero(y == a)[0], np.flatnonzero(y == b)[0]])
        for a, b in ((1, 7), (8, 3))
    ]
    for one in score_subsets(clone(PROBES[name]), X, y, pairs, X[:200]):
        rows = pairs[one.subset]
        fitted = clone(PROBES[name]).fit(X[rows], y[rows])
        margin = one.scores[:, 1] - one.scores[:, 0]
        decided = np.abs(fitted.decision_function(X[:200])) > 1e-4
        np.testing.assert_array_equal(
            (margin > 0)[decided], (fitted.decision_function(X[:200]) > 0)[decided]
        )


@pytest.mark.parametrize("name", ["logistic", "ridge", "bigvision", "simpleshot"])
def test_ties_go_to_the_first_class(name):
    """Two classes with the same rows cannot be told apart."""
    X = np.tile(np.random.default_rng(0).normal(size=(4, 30)), (2, 1))
    y = np.array([0, 0, 2, 2, 1, 1, 2, 2])  # class 1 repeats the rows of class 0
    [one] = score_subsets(clone(PROBES[name]), X, y, [np.arange(8)], X)
    np.testing.assert_allclose(one.scores[:, 0], one.scores[:, 1], atol=1e-6)


def test_more_rows_than_columns(digits):
    X, y = digits
    for name in ("logistic", "ridge", "simpleshot"):
        probe, rows = clone(PROBES[name]), [np.arange(300), np.arange(300, 600)]
        for one in score_subsets(probe, X, y, rows, X[1000:]):
            fitted = clone(PROBES[name]).fit(X[rows[one.subset]], y[rows[one.subset]])
            predicted = one.classes[one.scores.argmax(axis=1)]
            assert (predicted == fitted.predict(X[1000:])).mean() > 0.998


def test_bad_input(problem):
    X, y, subsets = problem
    spoilt = X.copy()
    spoilt[3, 1] = np.nan
    for name in ("logistic", "ridge", "centroid"):
        with pytest.raises(InvalidInputError, match="rows 3"):
            list(score_subsets(clone(PROBES[name]), spoilt, y, subsets, X[:5]))
        with pytest.raises(InvalidInputError, match="at least two classes"):
            list(score_subsets(clone(PROBES[name]), X, y, [np.array([4])], X[:5]))
    with pytest.raises(InvalidInputError, match="alpha must be"):
        list(score_subsets(RidgeProbe(), X, y, subsets, X[:5], [-1.0]))


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["logistic", "ridge", "bigvision", "centroid", "simpleshot"])
@pytest.mark.parametrize("asked", [False, True])
def test_cuda_is_the_cpu(problem, name, asked):
    X, y, subsets = problem
    rows = [np.arange(i, 300, 4) for i in range(4)] if asked else None
    cpu, cuda = (
        by_subset(
            score_subsets(
                clone(PROBES[name]).set_params(device=device),
                X,
                y,
                subsets,
                X[1000:1300],
                asked=rows,
            )
        )
        for device in ("cpu", "cuda")
    )
    assert [one for one, _ in cpu] == [one for one, _ in cuda]
    for one, other in zip(cpu.values(), cuda.values(), strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=2e-3)
