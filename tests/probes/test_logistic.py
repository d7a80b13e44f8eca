"""LogisticProbe against scikit-learn's optimum, and its behaviour at the edges."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import ortho_group
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from featstore.errors import InvalidInputError
from featstore.probes import GramBasis, LogisticProbe


def draw(seed, *, n=60, d=8, c=3):
    """Overlapping classes, all present, with columns of unlike scale and an offset."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.linspace(0.3, 3, d) + 2
    y = np.r_[np.arange(c), rng.integers(c, size=n - c)]
    X[:, 0] += y
    return X, y


# The optimum


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("C", [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0])
def test_reaches_the_optimum_of_scikit_learn(digits, oracle, C, dtype):
    X, y = digits
    probe = LogisticProbe(C, dtype=dtype).fit(X, y)
    assert abs(oracle(X, y, C).suboptimality(probe)) <= 1e-6
    assert probe.certificate_.converged


@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0, 10.0])
def test_tight_tolerance_gives_the_weights_of_scikit_learn(few_digits, oracle, C):
    X, y = few_digits
    probe = LogisticProbe(C, tol=1e-13).fit(X, y)
    model = oracle(X, y, C).model
    np.testing.assert_allclose(probe.coef_, model.coef_, atol=1e-5)
    np.testing.assert_allclose(probe.predict_proba(X), model.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(probe.predict(X), model.predict(X))


@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
def test_two_classes_are_one_logit(few_digits, oracle, C):
    X, y = few_digits[0], few_digits[1] % 2
    probe = LogisticProbe(C, tol=1e-12).fit(X, y)
    model = oracle(X, y, C).model
    assert abs(oracle(X, y, C).suboptimality(probe)) <= 1e-10
    assert probe.coef_.shape == (1, 64)
    assert probe.intercept_.shape == (1,)
    np.testing.assert_allclose(probe.decision_function(X), model.decision_function(X), atol=1e-4)
    np.testing.assert_allclose(probe.predict_proba(X), model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("C", [1e-3, 1.0])
def test_labels_of_an_indicator_are_separate_binary_problems(few_digits, C):
    X, y = few_digits
    Y = np.stack([y % 2 == 0, y > 4, y == 7], axis=1)
    probe = LogisticProbe(C, tol=1e-12).fit(X, Y)
    for j, column in enumerate(Y.T):
        model = LogisticRegression(C=C, tol=1e-12, solver="newton-cholesky").fit(X, column)
        np.testing.assert_allclose(probe.coef_[j], model.coef_[0], atol=1e-4)
        np.testing.assert_allclose(
            probe.predict_proba(X)[:, j], model.predict_proba(X)[:, 1], atol=1e-5
        )
    np.testing.assert_array_equal(probe.predict(X), probe.predict_proba(X) > 0.5)


def test_labels_that_do_not_vary_get_their_limit(few_digits):
    X, y = few_digits
    varying = y == 3
    Y = np.stack([np.zeros_like(varying), varying, np.ones_like(varying)], axis=1)
    probe = LogisticProbe().fit(X, Y)
    np.testing.assert_array_equal(probe.coef_[[0, 2]], 0)
    np.testing.assert_array_equal(probe.predict_proba(X)[:, [0, 2]], np.tile([0, 1], (len(X), 1)))
    alone = LogisticProbe().fit(X, varying)
    np.testing.assert_allclose(probe.coef_[1], alone.coef_[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [25, 40, 63])
def test_fewer_rows_than_columns(digits, oracle, n, dtype):
    X, y = digits
    X, y = X[:n], y[:n]
    for C in (1e-2, 1.0):
        probe = LogisticProbe(C, dtype=dtype).fit(X, y)
        assert abs(oracle(X, y, C).suboptimality(probe)) <= 1e-6


def test_more_than_200_classes_use_the_diagonal_factor(oracle):
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(210), 3)
    X = rng.normal(size=(210, 5))[y] + rng.normal(size=(630, 5))
    probe = LogisticProbe(0.1).fit(X, y)
    assert abs(oracle(X, y, 0.1).suboptimality(probe)) <= 1e-6


def test_many_classes_are_certified_at_once():
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(250), 8)
    X = rng.normal(size=(250, 30))[y] + 2 * rng.normal(size=(2000, 30))
    for tol in (1e-2, 1e-3, 1e-4):
        certificate = LogisticProbe(1.0, tol=tol).fit(X, y).certificate_
        assert certificate.converged
        # Beside the steps: the first gradient, which zero weights give half, and the certificate.
        assert certificate.passes == certificate.n_iter + 1.5


@pytest.mark.parametrize("n", [30, 300])
def test_duplicated_and_constant_columns(few_digits, oracle, n):
    X, y = few_digits[0][:n], few_digits[1][:n]
    wide = np.c_[X, X, np.full((n, 3), 1e6)]
    probe = LogisticProbe(1.0).fit(wide, y)
    # Two copies share the weight, which halves its penalty.
    assert abs(oracle(X, y, 2.0).minimum / probe.certificate_.objective - 1) <= 2e-6
    np.testing.assert_allclose(probe.coef_[:, :64], probe.coef_[:, 64:128], atol=1e-9)
    np.testing.assert_allclose(probe.coef_[:, 128:], 0, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scaling_features_is_scaling_c(few_digits, oracle, scale, dtype):
    X, y = few_digits
    probe = LogisticProbe(0.1 / scale**2, dtype=dtype).fit(X * scale, y)
    assert abs(probe.certificate_.objective / oracle(X, y, 0.1).minimum - 1) <= 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiny_features_at_an_everyday_c(few_digits, oracle, dtype):
    X, y = few_digits
    probe = LogisticProbe(1.0, dtype=dtype).fit(X * 1e-6, y)
    assert abs(oracle(X * 1e-6, y, 1.0).suboptimality(probe)) <= 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_features_at_an_everyday_c(few_digits, dtype):
    X, y = few_digits
    probe = LogisticProbe(1e-4, dtype=dtype).fit(X * 1e6, y)
    assert probe.certificate_.converged
    assert probe.certificate_.gap_bound < probe.certificate_.objective < 1e-6
    assert probe.score(X * 1e6, y) == 1


def test_columns_of_unlike_scale(few_digits, oracle):
    X, y = few_digits
    X = X * 10.0 ** np.linspace(-2, 2, 64)
    probe = LogisticProbe(0.1, tol=1e-7).fit(X, y)
    assert abs(oracle(X, y, 0.1).suboptimality(probe)) <= 1e-6


def test_a_large_offset_costs_no_precision(few_digits, oracle):
    X, y = few_digits
    probe = LogisticProbe(1.0, dtype="float32").fit(X + 1e4, y)
    truth = oracle(X, y, 1.0)
    assert abs(probe.certificate_.objective / truth.minimum - 1) <= 1e-6
    np.testing.assert_allclose(
        probe.predict_proba(X + 1e4), truth.model.predict_proba(X), atol=0.01
    )


@pytest.mark.parametrize("C", [1.0, 1e4])
def test_separable_classes(oracle, C):
    X = np.array([[0.0], [1.0], [3.0], [4.0]])
    y = np.array([0, 0, 1, 1])
    probe = LogisticProbe(C, tol=1e-8).fit(X, y)
    assert abs(oracle(X, y, C).suboptimality(probe)) <= 1e-6
    np.testing.assert_array_equal(probe.predict(X), y)


# Invariances


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000))
def test_order_of_rows_does_not_matter(seed):
    X, y = draw(seed)
    order = np.random.default_rng(seed).permutation(len(X))
    one, other = (LogisticProbe(tol=1e-12).fit(X[i], y[i]) for i in (slice(None), order))
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-5)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), n=st.sampled_from([6, 60]))
def test_rotating_the_features_rotates_the_weights(seed, n):
    X, y = draw(seed, n=n)
    Q = ortho_group.rvs(8, random_state=seed)
    one, other = LogisticProbe(tol=1e-12).fit(X, y), LogisticProbe(tol=1e-12).fit(X @ Q, y)
    np.testing.assert_allclose(one.coef_ @ Q, other.coef_, atol=1e-5)


@settings(deadline=None, max_examples=15)
@given(order=st.permutations(["ant", "bee", "cow", "dog"]), seed=st.integers(0, 1000))
def test_renaming_classes_permutes_the_columns(order, seed):
    X, y = draw(seed, c=4)
    names = np.array(order)
    by_code = LogisticProbe(tol=1e-12).fit(X, y)
    by_name = LogisticProbe(tol=1e-12).fit(X, names[y])
    assert by_name.classes_.tolist() == sorted(order)
    columns = np.searchsorted(by_name.classes_, names)
    np.testing.assert_allclose(
        by_name.predict_proba(X)[:, columns], by_code.predict_proba(X), atol=1e-6
    )
    np.testing.assert_array_equal(by_name.predict(X), names[by_code.predict(X)])


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000))
def test_float16_features_are_the_same_numbers(seed):
    X, y = draw(seed)
    half = X.astype(np.float16)
    one, other = LogisticProbe().fit(half, y), LogisticProbe().fit(half.astype(np.float32), y)
    np.testing.assert_array_equal(one.coef_, other.coef_)
    # Rounding to 11 bits moves these features by at most 2**-11 of their size.
    rounded = LogisticProbe(tol=1e-10).fit(half, y).predict_proba(half)
    exact = LogisticProbe(tol=1e-10).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(rounded, exact, atol=0.05)


def test_same_input_same_bits(digits):
    X, y = digits
    one, other = (LogisticProbe(0.1, dtype="float32", seed=3).fit(X, y) for _ in range(2))
    assert one.coef_.tobytes() == other.coef_.tobytes()
    assert one.certificate_ == other.certificate_


# What goes in


def test_features_come_in_many_forms(few_digits):
    X, y = few_digits
    X = X.astype(np.float32)

    class View:
        def array(self):
            return X

    read_only = X.copy()
    read_only.flags.writeable = False
    reference = LogisticProbe().fit(X, y).coef_
    reversed_rows = X[::-1].copy()[::-1]
    for features in (torch.from_numpy(X), View(), read_only, reversed_rows, np.asfortranarray(X)):
        np.testing.assert_allclose(LogisticProbe().fit(features, y).coef_, reference, atol=1e-9)
    brain = LogisticProbe().fit(torch.from_numpy(X).bfloat16(), torch.from_numpy(y))
    assert brain.score(X, y) > 0.98


def test_inputs_are_left_as_they_were(few_digits):
    X, y = few_digits
    before = X.copy()
    LogisticProbe().fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(X, before)


def test_scores_have_the_precision_of_the_features(few_digits):
    X, y = few_digits
    probe = LogisticProbe().fit(X, y)
    assert probe.decision_function(X).dtype == np.float64
    assert probe.predict_proba(X.astype(np.float16)).dtype == np.float32
    np.testing.assert_allclose(probe.decision_function(X), X @ probe.coef_.T + probe.intercept_)


def test_probability_of_two_classes_is_a_sigmoid(few_digits):
    X, y = few_digits
    probe = LogisticProbe().fit(X, y > 4)
    np.testing.assert_allclose(probe.predict_proba(X)[:, 1], expit(probe.decision_function(X)))
    np.testing.assert_allclose(probe.predict_proba(X).sum(axis=1), 1)


def test_a_fitted_probe_can_be_pickled(few_digits):
    X, y = few_digits
    probe = LogisticProbe().fit(X, y)
    again = pickle.loads(pickle.dumps(probe))
    np.testing.assert_array_equal(again.predict_proba(X), probe.predict_proba(X))
    assert again.certificate_ == probe.certificate_


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_named(few_digits, bad):
    X, y = few_digits
    X = X.copy()
    X[[3, 17, 41], 5] = bad
    with pytest.raises(
        InvalidInputError, match=r"3 of 300 rows .* NaN or infinity: rows 3, 17, 41"
    ):
        LogisticProbe().fit(X, y)
    probe = LogisticProbe().fit(*few_digits)
    with pytest.raises(InvalidInputError, match="rows 3, 17, 41"):
        probe.predict(X)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(300), "one class only, 0.0"),
        (["jay"] * 300, "one class only, 'jay'"),
        (np.arange(299), "300 rows and y 299"),
        (np.linspace(0, 1, 300), "Unknown label type: continuous"),
        (np.full(300, np.nan), "NaN"),
        (np.full((300, 2), 3), "indicator of 0 and 1"),
        (np.ones((300, 4)), "none of the 4 labels"),
        (np.zeros((300, 2, 2)), r"shape \(n,\) or \(n, c\)"),
        (None, "y is None"),
    ],
)
def test_targets_that_cannot_be_used(few_digits, y, message):
    with pytest.raises(InvalidInputError, match=message):
        LogisticProbe().fit(few_digits[0], y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"C": 0.0}, "C must be positive"),
        ({"C": np.inf}, "C must be positive and finite"),
        ({"tol": -1.0}, "tol must not be negative"),
        ({"max_iter": 0}, "max_iter must be at least 1"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"device": "tpu"}, "device must be"),
    ],
)
def test_parameters_out_of_range(few_digits, parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        LogisticProbe(**parameters).fit(*few_digits)


def test_a_basis_of_other_features_is_refused(few_digits):
    X, y = few_digits
    basis = GramBasis.of(X)
    LogisticProbe().fit(X, y, basis=basis)
    with pytest.raises(InvalidInputError, match="built from other features"):
        LogisticProbe().fit(X[::-1], y, basis=basis)
    with pytest.raises(InvalidInputError, match=r"shape \(300, 64\), X has \(200, 64\)"):
        LogisticProbe().fit(X[:200], y[:200], basis=basis)


# What is said about failure


def test_too_few_iterations_are_said(few_digits):
    with pytest.warns(ConvergenceWarning, match=r"C=10 did not converge.*max_iter=3 was reached"):
        probe = LogisticProbe(10.0, max_iter=3).fit(*few_digits)
    assert not probe.certificate_.converged
    assert probe.certificate_.relative_gap > probe.tol
    assert probe.n_iter_ == probe.certificate_.n_iter == 3


def test_a_tolerance_below_rounding_is_said(few_digits):
    with pytest.warns(ConvergenceWarning, match="rounding ended the search"):
        probe = LogisticProbe(tol=0.0).fit(*few_digits)
    assert not probe.certificate_.converged


def test_float64_goes_on_where_float32_stalls(few_digits, oracle):
    X, y = few_digits
    probe = LogisticProbe(tol=1e-14, dtype="float32").fit(X, y)
    assert probe.certificate_.solver == "kfac-lbfgs float32+float64"
    assert abs(oracle(X, y, 1.0).suboptimality(probe)) <= 1e-12
