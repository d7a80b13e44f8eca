"""Stacked logistic regression: each problem is scikit-learn's, and its bound bounds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from featstore.errors import InvalidInputError
from featstore.probes import LogisticProbe
from featstore.probes.row_families import row_families
from featstore.probes.subset_logistic import is_small, logistic_subsets


def draws(y, shots, count, *, seed=0):
    """k rows of every class, `count` times."""
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(y == code) for code in np.unique(y)]
    return [
        np.sort(np.concatenate([rng.choice(own, shots, replace=False) for own in rows]))
        for _ in range(count)
    ]


def wide(X, *, dim=80):
    """More columns than few-shot problems have rows, none of them redundant."""
    rng = np.random.default_rng(0)
    return np.tanh(X @ rng.normal(size=(X.shape[1], dim)))


def minimum(truth):
    """The oracle's optimum; where its Newton steps end in rounding, L-BFGS goes on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return truth.minimum


@pytest.mark.parametrize(
    ("form", "n_classes", "shots"),
    [("dual", 2, 1), ("dual", 3, 5), ("dual", 10, 3), ("primal", 2, 5), ("primal", 10, 5)],
)
def test_every_problem_is_scikit_learns(digits, oracle, form, n_classes, shots):
    X, y = digits
    X, y = X[y < n_classes] + 5, y[y < n_classes]  # far from zero: centring must be exact
    X = wide(X - 5) + 5 if form == "dual" else X[:, 20:23]
    Cs = [0.01, 1.0, 30.0]
    problems = draws(y, shots, 3)
    for found in logistic_subsets(X, y, problems, Cs, tol=1e-8):
        assert found.converged.all()
        for place, i in enumerate(found.subsets):
            rows = problems[i]
            truth = oracle(X[rows], y[rows], found.C)
            value = truth.value(found.coef[place], found.intercept[place])
            assert value == pytest.approx(found.objective[place], rel=1e-9)
            assert (value - minimum(truth)) / minimum(truth) < 2e-8
            assert value - minimum(truth) <= found.gap_bound[place] + 1e-12


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    d=st.integers(1, 30),
    c=st.integers(2, 4),
    shots=st.integers(1, 5),
    log_C=st.floats(-3, 3),
    max_iter=st.integers(1, 4),
)
def test_bounds_hold_along_the_way(oracle, seed, d, c, shots, log_C, max_iter):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(c), shots + 2)
    X = rng.normal(size=(len(y), d)) * rng.exponential(size=d)
    problems = draws(y, shots, 3, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = list(logistic_subsets(X, y, problems, [10**log_C], max_iter=max_iter))
    for heads in found:
        for place, i in enumerate(heads.subsets):
            truth = oracle(X[problems[i]], y[problems[i]], heads.C)
            value = truth.value(heads.coef[place], heads.intercept[place])
            assert value - minimum(truth) <= heads.gap_bound[place] + 1e-10


def test_subsets_of_unequal_classes_and_sizes(digits, oracle):
    X, y = digits
    problems = [
        np.arange(40),
        np.flatnonzero(y < 3)[:7],
        np.arange(100, 140),
        np.flatnonzero(y > 7)[:9],
    ]
    seen = {}
    for found in logistic_subsets(X, y, problems, [0.5]):
        for place, i in enumerate(found.subsets):
            truth = oracle(X[problems[i]], y[problems[i]], 0.5)
            seen[int(i)] = truth.value(found.coef[place], found.intercept[place]) / minimum(truth)
            np.testing.assert_array_equal(found.heads.classes[place], np.unique(y[problems[i]]))
    assert sorted(seen) == [0, 1, 2, 3]
    assert max(seen.values()) < 1 + 1e-6


def test_sharing_changes_nothing(digits):
    """Nested subsets, and a pool drawn from densely, use one Gram matrix; alone each its own."""
    X, y = wide(digits[0][:120]), digits[1][:120]
    largest = draws(y, 5, 3)
    nested = [rows[:: 5 // k] for k in (1, 5) for rows in largest]
    nested = [np.sort(rows) for rows in nested if len(np.unique(y[rows])) > 1]
    for problems in (nested, draws(y, 4, 40)):
        assert len(row_families(problems)) < len(problems)
        together = {
            int(i): coef
            for found in logistic_subsets(X, y, problems, [1.0], tol=1e-10)
            for i, coef in zip(found.subsets, found.coef, strict=True)
        }
        for i in range(0, len(problems), 7):
            [alone] = logistic_subsets(X, y, [problems[i]], [1.0], tol=1e-10)
            np.testing.assert_allclose(together[i], alone.coef[0], atol=1e-5)


def test_the_order_of_values_and_the_company_do_not_matter(digits):
    X, y = wide(digits[0]), digits[1]
    problems = draws(y, 2, 5)
    path = {found.C: found.objective for found in logistic_subsets(X, y, problems, [10, 0.1, 1])}
    assert list(path) == [0.1, 1, 10]
    [cold] = logistic_subsets(X, y, problems[:2], [10])
    np.testing.assert_allclose(cold.objective, path[10][:2], rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e2])
def test_weak_penalties_near_interpolation_converges(digits, scale):
    X, y = wide(digits[0]) * scale, digits[1]
    for found in logistic_subsets(X, y, draws(y, 5, 6), [1.0, 1e3, 1e5]):
        assert found.converged.all()


def test_duplicate_rows_and_constant_features(digits, oracle):
    X, y = wide(digits[0]), digits[1]
    twice = np.repeat(np.arange(12), 2)
    [found] = logistic_subsets(X[twice], y[twice], [np.arange(24)], [1.0])
    truth = oracle(X[twice], y[twice], 1.0)
    assert truth.value(found.coef[0], found.intercept[0]) < minimum(truth) * (1 + 1e-6)
    [flat] = logistic_subsets(np.ones((30, 50)), y[:30], [np.arange(30)], [1.0])
    assert flat.converged.all()
    assert not flat.coef.any()
    shares = np.bincount(y[:30]) / 30
    proba = np.exp(flat.intercept[0]) / np.exp(flat.intercept[0]).sum()
    np.testing.assert_allclose(proba, shares, atol=1e-9)


def test_hundreds_of_classes():
    """There only the diagonal of the classes' curvature preconditions."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(220), 2)
    X = rng.normal(size=(220, 300))[y] + rng.normal(size=(440, 300))
    problems = [np.arange(start, 440, 2) for start in (0, 1)]
    [found] = logistic_subsets(X, y, problems, [0.1])
    assert found.converged.all()
    alone = LogisticProbe(0.1).fit(X[problems[0]], y[problems[0]])
    assert found.objective[0] == pytest.approx(alone.certificate_.objective, rel=2e-6)


def test_what_is_not_converged_says_so(digits):
    X, y = wide(digits[0]), digits[1]
    with pytest.warns(ConvergenceWarning, match=r"6 of 6 logistic .* C=100 .* max_iter \(2\)"):
        [found] = logistic_subsets(X, y, draws(y, 5, 6), [100.0], max_iter=2)
    assert not found.converged.any()
    assert (found.n_iter == 2).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subsets": [np.arange(5), np.array([0, 10, 20])]}, "subset 1 has 3 rows of 1 class"),
        ({"Cs": [1.0, 0.0]}, "C must be positive and finite, got 0"),
        ({"tol": -1.0}, "tol must not be negative"),
        ({"max_iter": 0}, "max_iter at least 1"),
    ],
)
def test_bad_input(digits, change, message):
    X, y = digits
    arguments = {"subsets": [np.arange(5)], "Cs": [1.0], **change}
    with pytest.raises(InvalidInputError, match=message):
        list(logistic_subsets(X, y, **arguments))


def test_half_precision_features(digits):
    X, y = wide(digits[0]).astype(np.float16), digits[1]
    problems = draws(y, 3, 4)
    [half] = logistic_subsets(X, y, problems, [1.0])
    [double] = logistic_subsets(X.astype(np.float64), y, problems, [1.0])
    np.testing.assert_array_equal(half.coef, double.coef)


def test_large_subsets_are_fitted_one_by_one(digits, monkeypatch):
    X, y = digits
    assert is_small(160, 1280)
    monkeypatch.setattr("featstore.probes.subset_logistic._SMALL", 1000)
    probe = LogisticProbe(0.1)
    subsets = [np.arange(200), np.arange(500, 900)]
    found = list(probe.score_subsets(X, y, subsets, X[1000:]))
    assert [one.subset for one in found] == [0, 1]
    for one in found:
        alone = LogisticProbe(0.1).fit(X[subsets[one.subset]], y[subsets[one.subset]])
        np.testing.assert_array_equal(one.scores, alone.predict_proba(X[1000:]))


@pytest.mark.gpu
def test_cuda_is_the_cpu(digits):
    X, y = wide(digits[0]), digits[1]
    problems = draws(y, 5, 8)
    cpu, cuda = (
        next(iter(logistic_subsets(X, y, problems, [1.0], tol=1e-9, device=device)))
        for device in ("cpu", "cuda")
    )
    assert torch.cuda.is_available()
    np.testing.assert_allclose(cuda.coef, cpu.coef, atol=1e-4)
