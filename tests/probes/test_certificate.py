"""The certificate: its numbers are what they say, and its bound bounds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from featstore.probes import LogisticProbe


def fit(X, y, *, C, max_iter=1000, dtype="float64", tol=1e-6):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticProbe(C, max_iter=max_iter, dtype=dtype, tol=tol).fit(X, y)


def targets(y, kind):
    if kind == "softmax":
        return y
    return y > 4 if kind == "binary" else np.stack([y > 4, y == 3, y % 2 == 0], axis=1)


@pytest.mark.parametrize("kind", ["softmax", "binary", "multilabel"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_those_of_the_published_head(few_digits, oracle, kind, dtype):
    X, y = few_digits[0] + 3, targets(few_digits[1], kind)  # the offset tells coordinates apart
    probe = fit(X, y, C=0.5, max_iter=5, dtype=dtype)
    found, truth = probe.certificate_, oracle(X, y, 0.5)
    assert found.objective == pytest.approx(truth.value(probe.coef_, probe.intercept_), rel=1e-12)
    norm = np.linalg.norm(truth.gradient(probe.coef_, probe.intercept_))
    assert found.gradient_norm == pytest.approx(norm, rel=1e-6)


@pytest.mark.parametrize("kind", ["softmax", "binary", "multilabel"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0, 100.0])
def test_bound_holds_all_along_the_way(few_digits, oracle, kind, dtype, C):
    X, y = few_digits[0], targets(few_digits[1], kind)
    truth = oracle(X, y, C)
    for max_iter in (1, 3, 10, 30, 1000):
        probe = fit(X, y, C=C, max_iter=max_iter, dtype=dtype)
        gap = probe.certificate_.objective - truth.minimum
        assert gap <= probe.certificate_.gap_bound + 1e-12
    tight = fit(X, y, C=C, dtype=dtype, tol=1e-9).certificate_
    assert tight.gap_bound <= 1e-5 * tight.objective


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(4, 40),
    d=st.integers(1, 12),
    c=st.integers(2, 4),
    log_C=st.floats(-3, 2),
    max_iter=st.integers(1, 4),
)
def test_bound_holds_for_random_problems(oracle, seed, n, d, c, log_C, max_iter):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.uniform(0.1, 3, size=d)
    y = np.r_[np.arange(c), rng.integers(c, size=n - c)]
    probe = fit(X, y, C=10**log_C, max_iter=max_iter)
    gap = probe.certificate_.objective - oracle(X, y, 10**log_C).minimum
    assert gap <= probe.certificate_.gap_bound + 1e-12


@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0, 10.0])
def test_estimate_is_no_smaller_than_the_gap(digits, oracle, C):
    X, y = digits
    truth = oracle(X, y, C)
    for tol in (1e-2, 1e-4, 1e-6):
        probe = fit(X, y, C=C, tol=tol)
        assert truth.suboptimality(probe) <= probe.certificate_.relative_gap


def test_passes_are_iterations_and_a_few(few_digits):
    probe = fit(*few_digits, C=1.0)
    assert probe.n_iter_ < probe.certificate_.passes <= probe.n_iter_ + 3
