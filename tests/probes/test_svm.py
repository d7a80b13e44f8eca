"""SVMProbe against scikit-learn's LinearSVC and SciPy's optimum, and its behaviour at the edges."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import ortho_group
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from featstore.errors import InvalidInputError
from featstore.probes import SVMProbe

TIGHT = 1e-10


def liblinear(C, **parameters):
    """LinearSVC as exact as it goes: Newton's method in the primal."""
    return LinearSVC(C=C, dual=False, tol=1e-10, max_iter=100_000, **parameters)


def primal(X, y, coef, intercept, C, weights=1.0, scaling=None):
    """LinearSVC's objective of one binary problem over C n, y = ±1."""
    hinge = np.maximum(0, 1 - y * (X @ coef + intercept)) ** 2
    penalty = coef @ coef + (0 if scaling is None else (intercept / scaling) ** 2)
    return (weights * hinge).mean() + penalty / (2 * C * len(X))


def minimum(X, y, C, weights=1.0, scaling=None):
    """Its minimum by SciPy; y = ±1."""

    def value_and_gradient(theta):
        w, b = theta[:-1], theta[-1]
        short = np.maximum(0, 1 - y * (X @ w + b))
        r = -2 * weights * y * short / len(X)
        gradient = np.r_[X.T @ r + w / (C * len(X)), r.sum()]
        if scaling is not None:
            gradient[-1] += b / (scaling**2 * C * len(X))
        return primal(X, y, w, b, C, weights, scaling), gradient

    options = {"maxiter": 20_000, "maxfun": 100_000, "ftol": 1e-16, "gtol": 1e-13}
    start = np.zeros(X.shape[1] + 1)
    return minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options).fun


def signs(y, label):
    return np.where(y == label, 1.0, -1.0)


# The optimum


@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("scaling", [1.0, 10.0])
def test_weights_are_those_of_linear_svc(digits, C, scaling):
    X, y = digits
    probe = SVMProbe(C, intercept_scaling=scaling, tol=TIGHT).fit(X, y)
    model = liblinear(C, intercept_scaling=scaling).fit(X, y)
    np.testing.assert_allclose(probe.coef_, model.coef_, atol=2e-4)
    np.testing.assert_allclose(probe.intercept_, model.intercept_, atol=2e-4)
    np.testing.assert_array_equal(probe.predict(X), model.predict(X))
    for label in range(10):
        ours, theirs = (
            primal(X, signs(y, label), m.coef_[label], m.intercept_[label], C, scaling=scaling)
            for m in (probe, model)
        )
        assert ours <= theirs * (1 + 1e-10)


@pytest.mark.parametrize("C", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_free_intercept_reaches_the_minimum(few_digits, C, dtype):
    X, y = few_digits
    probe = SVMProbe(C, dtype=dtype).fit(X, y)
    for label in range(10):
        found = primal(X, signs(y, label), probe.coef_[label], probe.intercept_[label], C)
        lowest = minimum(X, signs(y, label), C)
        assert found <= lowest * (1 + 1e-6)
        assert found >= lowest * (1 - 1e-6)


def test_a_free_intercept_is_the_limit_of_its_scaling(few_digits):
    X, y = few_digits
    free = SVMProbe(0.1, tol=TIGHT).fit(X, y)
    scaled = SVMProbe(0.1, intercept_scaling=1e4, tol=TIGHT).fit(X, y)
    np.testing.assert_allclose(free.coef_, scaled.coef_, atol=1e-5)
    np.testing.assert_allclose(free.intercept_, scaled.intercept_, atol=1e-5)


@pytest.mark.parametrize("n", [25, 40, 63])
@pytest.mark.parametrize("scaling", [None, 1.0])
def test_fewer_rows_than_columns(digits, n, scaling):
    X, y = digits[0][:n], digits[1][:n]
    probe = SVMProbe(1.0, intercept_scaling=scaling, tol=1e-8).fit(X, y)
    for j, label in enumerate(probe.classes_):
        found = primal(
            X, signs(y, label), probe.coef_[j], probe.intercept_[j], 1.0, scaling=scaling
        )
        assert found <= minimum(X, signs(y, label), 1.0, scaling=scaling) * (1 + 1e-7)


def test_two_classes_are_one_problem(few_digits):
    X, y = few_digits[0], np.where(few_digits[1] > 4, "large", "small")
    probe = SVMProbe(0.3, intercept_scaling=1.0, tol=TIGHT).fit(X, y)
    model = liblinear(0.3).fit(X, y)
    assert probe.coef_.shape == (1, 64)
    np.testing.assert_allclose(probe.decision_function(X), model.decision_function(X), atol=1e-4)
    np.testing.assert_array_equal(probe.predict(X), model.predict(X))


def test_labels_of_an_indicator_are_problems_of_their_own(few_digits):
    X, y = few_digits
    Y = np.stack([y % 2 == 0, y > 4, y == 7], axis=1)
    probe = SVMProbe(0.1, intercept_scaling=1.0, tol=TIGHT).fit(X, Y)
    for j, column in enumerate(Y.T):
        model = liblinear(0.1).fit(X, column)
        np.testing.assert_allclose(probe.coef_[j], model.coef_[0], atol=1e-4)
        np.testing.assert_allclose(
            probe.decision_function(X)[:, j], model.decision_function(X), atol=1e-4
        )
    np.testing.assert_array_equal(probe.predict(X), probe.decision_function(X) > 0)


def test_labels_that_do_not_vary_have_no_loss(few_digits):
    X, y = few_digits
    varying = y == 3
    Y = np.stack([np.zeros_like(varying), varying, np.ones_like(varying)], axis=1)
    probe = SVMProbe(0.1).fit(X, Y)
    np.testing.assert_array_equal(probe.coef_[[0, 2]], 0)
    np.testing.assert_array_equal(probe.intercept_[[0, 2]], [-1, 1])
    np.testing.assert_allclose(probe.coef_[1], SVMProbe(0.1).fit(X, varying).coef_[0])


def test_vissl_trains_linear_svc_on_normalised_rows(few_digits):
    """svm_trainer.py of facebookresearch/vissl, restated: positives weigh 2, the rest 1."""
    X, y = few_digits
    Y = np.stack([y % 2 == 0, y > 4, y == 7], axis=1)
    rows = X / (np.linalg.norm(X, axis=1) + 1e-5)[:, None]
    for C in (0.01, 0.1, 10.0):
        probe = SVMProbe(
            C,
            normalise=True,
            norm_offset=1e-5,
            positive_weight=2,
            intercept_scaling=1.0,
            tol=TIGHT,
        ).fit(X, Y)
        for j, column in enumerate(Y.T):
            model = liblinear(C, class_weight={1: 2, -1: 1}).fit(rows, np.where(column, 1, -1))
            np.testing.assert_allclose(
                probe.decision_function(X)[:, j], model.decision_function(rows), atol=1e-4
            )


# Weights


@pytest.mark.parametrize("weight", ["balanced", {0: 3.0, 4: 0.5}])
def test_class_weights_are_those_of_linear_svc(few_digits, weight):
    X, y = few_digits
    probe = SVMProbe(0.1, class_weight=weight, intercept_scaling=1.0, tol=TIGHT).fit(X, y)
    model = liblinear(0.1, class_weight=weight).fit(X, y)
    np.testing.assert_allclose(probe.coef_, model.coef_, atol=1e-4)


@pytest.mark.parametrize("weight", ["balanced", {"a": 3.0}, {"b": 0.2, "a": 2}])
def test_class_weights_of_two_classes(few_digits, weight):
    X, y = few_digits[0], np.where(few_digits[1] > 6, "b", "a")
    probe = SVMProbe(0.1, class_weight=weight, intercept_scaling=1.0, tol=TIGHT).fit(X, y)
    model = liblinear(0.1, class_weight=weight).fit(X, y)
    np.testing.assert_allclose(probe.coef_, model.coef_, atol=1e-4)


def test_balanced_labels_are_balanced_each(few_digits):
    X, y = few_digits
    Y = np.stack([y % 2 == 0, y == 7], axis=1)
    probe = SVMProbe(0.1, class_weight="balanced", intercept_scaling=1.0, tol=TIGHT).fit(X, Y)
    for j, column in enumerate(Y.T):
        model = liblinear(0.1, class_weight="balanced").fit(X, column)
        np.testing.assert_allclose(probe.coef_[j], model.coef_[0], atol=1e-4)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_sample_weights_are_those_of_linear_svc(few_digits, class_weight):
    X, y = few_digits
    weights = np.random.default_rng(0).uniform(0.1, 3, size=len(X))
    arguments = {"class_weight": class_weight, "intercept_scaling": 1.0}
    probe = SVMProbe(0.1, tol=TIGHT, **arguments).fit(X, y, sample_weight=weights)
    model = liblinear(0.1, **arguments).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(probe.coef_, model.coef_, atol=1e-4)


def test_whole_weights_are_repeated_rows(few_digits):
    X, y = few_digits
    weights = np.random.default_rng(0).integers(0, 3, size=len(X))
    one = SVMProbe(0.1, tol=TIGHT).fit(X, y, sample_weight=weights)
    other = SVMProbe(0.1, tol=TIGHT).fit(X.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(one.coef_, other.coef_, atol=2e-5)
    np.testing.assert_allclose(one.intercept_, other.intercept_, atol=2e-5)


# The certificate


@pytest.mark.parametrize("scaling", [None, 1.0])
@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
def test_bound_holds_all_along_the_way(few_digits, scaling, C):
    X, y = few_digits[0] + 1, few_digits[1] > 4
    lowest = minimum(X, signs(y, True), C, scaling=scaling)
    for max_iter in (1, 2, 3, 5, 100):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe = SVMProbe(C, max_iter=max_iter, intercept_scaling=scaling).fit(X, y)
        found = probe.certificate_
        value = primal(X, signs(y, True), probe.coef_[0], probe.intercept_[0], C, scaling=scaling)
        assert found.objective == pytest.approx(value, rel=1e-10)
        assert value - lowest <= found.gap_bound + 1e-12
        assert found.converged == (found.gap_bound <= 1e-6 * found.objective)
    assert found.converged


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(4, 40),
    d=st.integers(1, 12),
    log_C=st.floats(-3, 3),
    max_iter=st.integers(1, 3),
    weighted=st.booleans(),
)
def test_bound_holds_for_random_problems(seed, n, d, log_C, max_iter, weighted):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.uniform(0.1, 3, size=d) + rng.normal(size=d)
    y = np.r_[0, 1, rng.integers(2, size=n - 2)]
    weights = rng.uniform(0.1, 4, size=n) if weighted else np.ones(n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe = SVMProbe(10**log_C, max_iter=max_iter).fit(X, y, sample_weight=weights)
    lowest = minimum(X, signs(y, 1), 10**log_C, weights)
    assert probe.certificate_.objective - lowest <= probe.certificate_.gap_bound + 1e-9


def test_gradient_norm_is_that_of_the_published_head(few_digits):
    X, y = few_digits[0] + 3, few_digits[1] > 4
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1 was reached"):
        probe = SVMProbe(10.0, max_iter=1).fit(X, y)
    t, n = signs(y, True), len(X)
    r = -2 * t * np.maximum(0, 1 - t * (X @ probe.coef_[0] + probe.intercept_)) / n
    gradient = np.r_[X.T @ r + probe.coef_[0] / (10.0 * n), r.sum()]
    assert probe.certificate_.gradient_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-6)


def test_float32_ends_at_the_optimum_of_float64(digits):
    X, y = digits
    for C in (0.01, 10.0):
        one, other = (SVMProbe(C, dtype=d, tol=1e-9).fit(X, y) for d in ("float32", "float64"))
        assert one.certificate_.converged
        assert one.certificate_.solver == "newton float32+float64"
        np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-4)


# Many C


@pytest.mark.parametrize("scaling", [None, 1.0])
def test_sweep_is_a_fit_per_value(digits, scaling):
    X, y = digits
    Cs = [1.0, 1e-4, 0.01, 100.0]
    probe = SVMProbe(intercept_scaling=scaling, tol=1e-9)
    swept = []
    for C, proba in probe.sweep(X[:600], y[:600], X[600:], Cs):
        swept.append(C)
        alone = clone(probe).set_params(C=C).fit(X[:600], y[:600])
        np.testing.assert_allclose(proba, alone.predict_proba(X[600:]), atol=1e-5)
        assert probe.certificate_.converged
    assert swept == sorted(Cs)


def test_groups_of_problems_give_the_same(few_digits, monkeypatch):
    X, y = few_digits
    Cs = [0.1, 1.0]
    whole = [proba for _, proba in SVMProbe(tol=1e-9).sweep(X, y, X, Cs)]
    monkeypatch.setattr("featstore.probes.svm_problem._SHORTFALLS", 7 * len(X))
    parts = [proba for _, proba in SVMProbe(tol=1e-9).sweep(X, y, X, Cs)]
    np.testing.assert_allclose(whole, parts, atol=1e-6)


# Invariances and edges


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 1000), n=st.sampled_from([50, 200]))
def test_rows_features_and_offsets_may_move(few_digits, seed, n):
    X, y = few_digits[0][:n], few_digits[1][:n]
    rng = np.random.default_rng(seed)
    order, Q = rng.permutation(n), ortho_group.rvs(64, random_state=seed)
    one = SVMProbe(0.1, tol=TIGHT).fit(X, y)
    other = SVMProbe(0.1, tol=TIGHT).fit(X[order] @ Q + 5, y[order])
    np.testing.assert_allclose(one.coef_ @ Q, other.coef_, atol=1e-5)


@pytest.mark.parametrize("scaling", [None, 1.0])
def test_duplicate_and_constant_columns(few_digits, scaling):
    X, y = few_digits
    wide = np.c_[X, X, np.full((len(X), 3), 1e3 if scaling is None else 1.0)]
    probe = SVMProbe(1.0, intercept_scaling=scaling).fit(wide, y)
    np.testing.assert_allclose(probe.coef_[:, :64], probe.coef_[:, 64:128], atol=1e-8)
    assert probe.certificate_.converged
    if scaling is None:  # two copies share the weight, which halves its penalty
        alone = SVMProbe(2.0).fit(X, y).certificate_.objective
        assert probe.certificate_.objective == pytest.approx(alone, rel=2e-6)
        np.testing.assert_allclose(probe.coef_[:, 128:], 0, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scaling_features_is_scaling_c(few_digits, scale, dtype):
    X, y = few_digits
    probe = SVMProbe(0.1 / scale**2, dtype=dtype).fit(X * scale, y)
    expected = SVMProbe(0.1).fit(X, y).certificate_.objective
    assert probe.certificate_.objective == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("C", [1.0, 1e4, 1e8])
def test_separable_classes(C):
    X = np.array([[0.0], [1.0], [3.0], [4.0]])
    y = np.array([0, 0, 1, 1])
    probe = SVMProbe(C).fit(X, y)
    np.testing.assert_allclose(probe.decision_function(X[1:3]), [-1, 1], atol=1.1 / C)
    assert probe.certificate_.converged


def test_one_row_per_class():
    X = np.eye(5) + 0.1
    probe = SVMProbe().fit(X, list("abcde"))
    assert probe.predict(X).tolist() == list("abcde")


def test_half_precision_features_are_the_same_numbers(few_digits):
    X, y = few_digits[0].astype(np.float16), few_digits[1]
    for normalise in (False, True):
        one = SVMProbe(normalise=normalise, tol=TIGHT).fit(X, y)
        other = SVMProbe(normalise=normalise, tol=TIGHT).fit(X.astype(np.float32), y)
        np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-6)


def test_normalised_rows_have_no_length(few_digits):
    X, y = few_digits
    lengths = np.random.default_rng(0).uniform(0.1, 10, size=(len(X), 1))
    one, other = (SVMProbe(normalise=True).fit(rows, y) for rows in (X, X * lengths))
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-6)
    assert not hasattr(one, "coef_")
    zeros = np.zeros((1, 64))
    assert np.isfinite(one.predict_proba(zeros)).all()


def test_same_input_same_bits(digits):
    one, other = (SVMProbe(0.1, dtype="float32").fit(*digits) for _ in range(2))
    assert one.coef_.tobytes() == other.coef_.tobytes()
    assert one.certificate_ == other.certificate_


def test_a_fitted_probe_can_be_pickled(few_digits):
    X, y = few_digits
    for normalise in (False, True):
        probe = SVMProbe(normalise=normalise).fit(X, y)
        again = pickle.loads(pickle.dumps(probe))
        np.testing.assert_array_equal(again.predict_proba(X), probe.predict_proba(X))


@pytest.mark.parametrize(
    "probe",
    [
        SVMProbe(tol=1e-14),
        SVMProbe(intercept_scaling=1.0, normalise=True, tol=1e-14),
        SVMProbe(class_weight="balanced", tol=1e-14),
    ],
)
def test_contract_of_scikit_learn(probe):
    # Tight, since weighted and repeated rows must give the same to 1e-7.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # checks that do not apply are skipped with a warning
        outcomes = check_estimator(probe, on_skip=None, on_fail=None)
    assert {o["check_name"]: o["exception"] for o in outcomes if o["status"] == "failed"} == {}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"C": 0.0}, "C must be positive"),
        ({"C": np.inf}, "C must be positive and finite"),
        ({"tol": -1.0}, "tol must be finite and not negative"),
        ({"max_iter": 0}, "max_iter must be at least 1"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"device": "tpu"}, "device must be"),
        ({"intercept_scaling": 0.0}, "intercept_scaling must be positive"),
        ({"norm_offset": -1.0}, "norm_offset must be"),
        ({"positive_weight": 0.0}, "positive_weight must be positive"),
        ({"class_weight": "equal"}, "class_weight must be None, 'balanced' or a dictionary"),
        ({"class_weight": {11: 2}}, "names 11, which is no class of y"),
        ({"class_weight": {1: -2}}, "class_weight must be finite and not negative"),
        ({"engine": "libsvm"}, "engine must be one of 'torch', 'sklearn', 'cuml'"),
    ],
)
def test_parameters_out_of_range(few_digits, parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        SVMProbe(**parameters).fit(*few_digits)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(10), r"must have shape \(300,\)"),
        (-np.ones(300), "not negative"),
        (np.zeros(300), "are zero"),
        (np.full(300, np.nan), "must be finite"),
    ],
)
def test_weights_that_cannot_be_used(few_digits, weights, message):
    with pytest.raises(InvalidInputError, match=message):
        SVMProbe().fit(*few_digits, sample_weight=weights)


def test_a_dictionary_is_not_for_labels(few_digits):
    X, y = few_digits
    with pytest.raises(InvalidInputError, match="use positive_weight"):
        SVMProbe(class_weight={1: 2}).fit(X, np.stack([y > 4, y == 7], axis=1))
    with pytest.raises(InvalidInputError, match="none of the 2 classes or labels"):
        SVMProbe().fit(X, np.ones((300, 2), dtype=bool))
