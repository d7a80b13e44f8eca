"""logistic_path: the same heads as separate fits, for less."""

from __future__ import annotations

import numpy as np
import pytest

from featstore.errors import InvalidInputError
from featstore.probes import GramBasis, LogisticProbe, logistic_path

CS = [1.0, 1e-4, 1e-2, 1e-3, 0.1, 10.0]


def test_path_equals_separate_fits(few_digits):
    X, y = few_digits
    for probe in logistic_path(X, y, CS, tol=1e-12):
        alone = LogisticProbe(probe.C, tol=1e-12).fit(X, y)
        np.testing.assert_allclose(probe.coef_, alone.coef_, atol=1e-4)
        np.testing.assert_allclose(probe.predict_proba(X), alone.predict_proba(X), atol=1e-5)


def test_heads_come_from_small_c_to_large(few_digits):
    probes = list(logistic_path(*few_digits, CS))
    assert [probe.C for probe in probes] == sorted(CS)
    assert all(probe.certificate_.converged for probe in probes)
    assert {probe.n_features_in_ for probe in probes} == {64}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_head_is_near_its_optimum(digits, oracle, dtype):
    X, y = digits
    for probe in logistic_path(X, y, [1e-4, 1e-2, 1.0], dtype=dtype):
        assert abs(oracle(X, y, probe.C).suboptimality(probe)) <= 1e-6


def test_warm_starts_save_passes(digits):
    X, y = digits
    Cs = np.logspace(-3, 1, 12)
    warm = sum(probe.certificate_.passes for probe in logistic_path(X, y, Cs))
    cold = sum(LogisticProbe(C).fit(X, y).certificate_.passes for C in Cs)
    assert warm < cold


def test_one_basis_serves_every_label_set_and_c(few_digits):
    X, y = few_digits
    basis = GramBasis.of(X.astype(np.float32))
    for labels in (y, y % 3, y > 4, np.stack([y > 4, y == 1], axis=1)):
        for probe in logistic_path(X.astype(np.float32), labels, [0.01, 1.0], basis=basis):
            assert probe.certificate_.converged


def test_fewer_rows_than_columns(few_digits, oracle):
    X, y = few_digits[0][:40], few_digits[1][:40]
    for probe in logistic_path(X, y, [1e-2, 1.0, 100.0]):
        assert abs(oracle(X, y, probe.C).suboptimality(probe)) <= 1e-6


def test_inputs_are_checked_before_the_first_head(few_digits):
    X, y = few_digits
    with pytest.raises(InvalidInputError, match="Cs is empty"):
        logistic_path(X, y, [])
    with pytest.raises(InvalidInputError, match="C must be positive"):
        logistic_path(X, y, [1.0, -1.0])
    with pytest.raises(InvalidInputError, match="300 rows and y 10"):
        logistic_path(X, y[:10], [1.0])


def test_sweep_scores_queries_with_every_head(few_digits):
    X, y = few_digits
    swept = dict(LogisticProbe(tol=1e-10).sweep(X[:200], y[:200], X[200:], [1.0, 0.01]))
    assert list(swept) == [0.01, 1.0]
    for C, proba in swept.items():
        alone = LogisticProbe(C, tol=1e-10).fit(X[:200], y[:200])
        np.testing.assert_allclose(proba, alone.predict_proba(X[200:]), atol=1e-5)


def test_a_path_to_interpolation_takes_few_passes_and_each_head_is_optimal(digits, oracle):
    X, y = digits
    Cs = np.logspace(0, 3, 10)
    warm = list(logistic_path(X, y, Cs, tol=1e-5))
    cold = sum(LogisticProbe(C, tol=1e-5).fit(X, y).certificate_.passes for C in Cs)
    assert sum(probe.certificate_.passes for probe in warm) < cold / 2
    for probe in warm[::3]:
        gap = oracle(X, y, probe.C).suboptimality(probe)
        assert gap <= probe.certificate_.relative_gap <= 1e-5


def test_same_path_same_bits(few_digits):
    X, y = few_digits
    one, other = (
        [probe.coef_.tobytes() for probe in logistic_path(X.astype(np.float32), y, CS)]
        for _ in range(2)
    )
    assert one == other


def test_the_same_c_twice_is_found_at_once(few_digits):
    first, second = logistic_path(*few_digits, [1.0, 1.0], tol=1e-6)
    assert second.n_iter_ <= 1 < first.n_iter_
