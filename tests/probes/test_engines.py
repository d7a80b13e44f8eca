"""Engines: the same problems solved by other libraries, with the same certificate."""

from __future__ import annotations

import inspect
import sys
import warnings

import cuml_stand_in
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import LinearSVC

from featstore.errors import InvalidInputError, MissingDependencyError
from featstore.probes import LogisticProbe, RidgeProbe, SVMProbe
from featstore.probes.engines.rapids import CumlEngine

PROBES = [LogisticProbe, RidgeProbe, SVMProbe]


def labels_of(y, kind):
    if kind == "classes":
        return np.asarray([f"digit {d}" for d in y])
    return y > 4 if kind == "two" else np.stack([y > 4, y == 3, y % 2 == 0], axis=1).astype(int)


KINDS = pytest.mark.parametrize("kind", ["classes", "two", "labels"])


# scikit-learn


@KINDS
@pytest.mark.parametrize("C", [1e-3, 0.1])
def test_sklearn_svm(few_digits, kind, C):
    X, y = few_digits[0], labels_of(few_digits[1], kind)
    arguments = {"intercept_scaling": 1.0, "tol": 1e-8, "max_iter": 20_000}
    ours = SVMProbe(C, **arguments).fit(X, y)
    theirs = SVMProbe(C, engine="sklearn", **arguments).fit(X, y)
    np.testing.assert_allclose(theirs.coef_, ours.coef_, atol=1e-3)
    np.testing.assert_array_equal(theirs.predict(X), ours.predict(X))
    certificate = theirs.certificate_
    assert certificate.solver == "sklearn float64"
    # The bound is true of weights that the torch engine did not find.
    gap = certificate.objective - (ours.certificate_.objective - ours.certificate_.gap_bound)
    assert gap <= certificate.gap_bound + ours.certificate_.gap_bound + 1e-12


def test_sklearn_svm_is_linear_svc_to_the_bit(few_digits):
    X, y = few_digits[0], few_digits[1] > 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe = SVMProbe(0.1, intercept_scaling=1.0, tol=1e-4, engine="sklearn").fit(X, y)
    model = LinearSVC(C=0.1, tol=1e-4, random_state=0, max_iter=100).fit(
        X, y, sample_weight=np.ones(len(X))
    )
    np.testing.assert_array_equal(probe.coef_, model.coef_)
    np.testing.assert_allclose(probe.intercept_, model.intercept_, rtol=1e-12)


def test_sklearn_svm_weighs_alike(few_digits):
    X, y = few_digits
    weights = np.random.default_rng(0).uniform(0.2, 2, size=len(X))
    arguments = {
        "class_weight": "balanced",
        "positive_weight": 2.0,
        "normalise": True,
        "intercept_scaling": 1.0,
        "tol": 1e-8,
        "max_iter": 20_000,
    }
    ours = SVMProbe(1.0, **arguments).fit(X, y, sample_weight=weights)
    theirs = SVMProbe(1.0, engine="sklearn", **arguments).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(theirs.decision_function(X), ours.decision_function(X), atol=2e-3)


def test_a_loose_engine_is_found_out(few_digits):
    X, y = few_digits
    with pytest.warns(ConvergenceWarning, match="the SVM did not converge"):
        probe = SVMProbe(1.0, engine="sklearn", intercept_scaling=1.0, max_iter=2, tol=1e-6).fit(
            X, y
        )
    assert not probe.certificate_.converged
    assert probe.certificate_.relative_gap > 1e-6


def test_sklearn_svm_has_no_free_intercept(few_digits):
    with pytest.raises(InvalidInputError, match="LinearSVC penalises its intercept"):
        SVMProbe(engine="sklearn").fit(*few_digits)


@KINDS
@pytest.mark.parametrize("n", [40, 300])
def test_sklearn_ridge(few_digits, kind, n):
    X, y = few_digits[0][:n], labels_of(few_digits[1][:n], kind)
    ours, theirs = RidgeProbe(0.5).fit(X, y), RidgeProbe(0.5, engine="sklearn").fit(X, y)
    model = RidgeClassifier(0.5, solver="svd").fit(X, y)
    np.testing.assert_allclose(theirs.coef_, np.atleast_2d(model.coef_), atol=1e-12)
    np.testing.assert_allclose(theirs.coef_, ours.coef_, atol=1e-9)
    np.testing.assert_allclose(theirs.intercept_, ours.intercept_, atol=1e-9)
    one, other = ours.certificate_, theirs.certificate_
    assert (one.condition_number, one.rank) == (other.condition_number, other.rank)
    assert other.residual < 1e-10
    rough = RidgeProbe(0.5, engine="sklearn", dtype="float32").fit(X, y)
    assert 1e-10 < rough.certificate_.residual < 1e-3  # of its own weights, not of ours
    for (a, proba), (b, expected) in zip(
        theirs.sweep(X, y, X, [0.1, 3.0]), ours.sweep(X, y, X, [0.1, 3.0]), strict=True
    ):
        assert a == b
        np.testing.assert_allclose(proba, expected, atol=1e-9)


@pytest.mark.parametrize("arguments", [{"alpha": "loo"}, {"standardise": True}, {"bias": 1.0}])
def test_what_ridge_engines_do_not_have(few_digits, arguments):
    with pytest.raises(InvalidInputError, match="engine='sklearn' solves ridge regression for one"):
        RidgeProbe(engine="sklearn", **arguments).fit(*few_digits)


# cuML


@pytest.mark.parametrize("probe", PROBES)
@KINDS
def test_cuml_is_given_what_it_takes(few_digits, monkeypatch, probe, kind):
    X, y = few_digits[0].astype(np.float16), labels_of(few_digits[1], kind)
    ours = probe(1e-2).fit(X, y)
    cuml_stand_in.install(monkeypatch)
    theirs = (
        probe(1e-2, engine="cuml", dtype="float32", tol=1e-4)
        if probe is not RidgeProbe
        else (probe(1e-2, engine="cuml", dtype="float32"))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(X, y)
    np.testing.assert_allclose(theirs.decision_function(X), ours.decision_function(X), atol=0.02)
    assert set(cuml_stand_in.Recorded.dtypes) == {"float32"}
    if probe is not RidgeProbe:
        assert theirs.certificate_.solver == "cuml float32"
        assert theirs.certificate_.relative_gap < 1e-2


def test_cuml_penalises_the_intercept_in_one_way(few_digits, monkeypatch):
    cuml_stand_in.install(monkeypatch)
    X, y = few_digits
    ours = SVMProbe(0.1, intercept_scaling=1.0).fit(X, y)
    theirs = SVMProbe(0.1, intercept_scaling=1.0, engine="cuml", tol=1e-8).fit(X, y)
    np.testing.assert_allclose(theirs.coef_, ours.coef_, atol=1e-3)
    with pytest.raises(InvalidInputError, match="penalised like the weights"):
        SVMProbe(0.1, intercept_scaling=2.0, engine="cuml").fit(X, y)


@pytest.mark.parametrize("probe", PROBES)
def test_cuml_that_is_not_installed(few_digits, monkeypatch, probe):
    monkeypatch.setitem(sys.modules, "cuml", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "featstore\[gpu\]"'):
        probe(engine="cuml").fit(*few_digits)


@pytest.mark.parametrize("probe", PROBES)
def test_cuml_without_a_device(few_digits, monkeypatch, probe):
    cuml_stand_in.install(monkeypatch)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InvalidInputError, match="engine='cuml' computes on a CUDA device"):
        probe(engine="cuml").fit(*few_digits)


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_what_c_means_to_cuml_is_measured(few_digits, monkeypatch, scale):
    cuml_stand_in.install(monkeypatch)
    monkeypatch.setattr(cuml_stand_in.Recorded, "loss_scale", scale)
    assert CumlEngine.load().svm_loss_scale == scale
    X, y = few_digits
    weights = np.random.default_rng(0).uniform(0.2, 5, size=len(X))
    arguments = {"intercept_scaling": 1.0, "tol": 1e-8}
    ours = SVMProbe(0.1, **arguments).fit(X, y, sample_weight=weights)
    theirs = SVMProbe(0.1, engine="cuml", **arguments).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(theirs.coef_, ours.coef_, atol=1e-3)


def test_cuml_has_no_weights_in_a_softmax(few_digits, monkeypatch):
    cuml_stand_in.install(monkeypatch)
    X, y = few_digits
    engine, options = CumlEngine.load(), {"C": 1.0, "tol": 1e-6, "max_iter": 1000}
    weights = np.random.default_rng(0).uniform(0.2, 5, size=len(X))
    with pytest.raises(InvalidInputError, match="ignores the weights"):
        engine.logistic(X, y, sample_weight=weights, **options)
    two = (y > 4).astype(np.int64)
    found = engine.logistic(X, two, sample_weight=weights, **options)
    model = LogisticRegression(tol=1e-6).fit(X, two, sample_weight=weights)
    np.testing.assert_allclose(found.coef, model.coef_, atol=1e-3)


def test_the_real_package_takes_our_parameters():
    """Runs wherever cuML can be imported, which takes no GPU."""
    cuml = pytest.importorskip("cuml")
    pytest.importorskip("cuml.svm")
    engine = CumlEngine(cuml)
    iterative = {"C": 0.5, "tol": 1e-5, "max_iter": 7}
    made = [
        (engine.logistic_model(**iterative), cuml.LogisticRegression, iterative),
        (engine.svm_model(intercept_scaling=1.0, **iterative), cuml.svm.LinearSVC, iterative),
        (engine.ridge_model(alpha=0.5), cuml.Ridge, {"alpha": 0.5}),
    ]
    for model, kind, given in made:
        assert type(model) is kind
        assert model.get_params().items() >= given.items()
        stand_in = getattr(cuml_stand_in, kind.__name__)
        for method in ("__init__", "fit"):
            theirs, ours = (inspect.signature(getattr(k, method)) for k in (kind, stand_in))
            # A later release may have more.
            assert set(theirs.parameters) >= set(ours.parameters)
    assert made[1][0].get_params()["penalized_intercept"] is True


@pytest.mark.gpu
@pytest.mark.parametrize("probe", PROBES)
@KINDS
def test_cuml_on_a_device(digits, probe, kind):
    pytest.importorskip("cuml")
    X, y = digits[0].astype(np.float32), labels_of(digits[1], kind)
    ours = probe(1e-2, device="cuda").fit(X, y)
    theirs = probe(1e-2, engine="cuml", device="cuda")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(X, y)
    np.testing.assert_allclose(theirs.decision_function(X), ours.decision_function(X), atol=0.05)
    if probe is not RidgeProbe:
        assert theirs.certificate_.relative_gap < 1e-2


@pytest.mark.gpu
@pytest.mark.parametrize("scaling", [None, 1.0])
def test_the_svm_on_a_device(digits, scaling):
    X, y = digits
    for dtype in ("float32", "float64"):
        on_cpu, on_cuda = (
            SVMProbe(0.1, intercept_scaling=scaling, dtype=dtype, device=device).fit(X, y)
            for device in ("cpu", "cuda")
        )
        assert on_cuda.certificate_.converged
        np.testing.assert_allclose(on_cuda.coef_, on_cpu.coef_, atol=1e-3)


# Logistic regression


@KINDS
@pytest.mark.parametrize("C", [1e-3, 0.1])
def test_sklearn_logistic(few_digits, oracle, kind, C):
    X, y = few_digits[0], labels_of(few_digits[1], kind)
    ours = LogisticProbe(C).fit(X, y)
    theirs = LogisticProbe(C, engine="sklearn").fit(X, y)
    np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X), atol=1e-3)
    assert theirs.certificate_.solver == "sklearn float64"
    truth = oracle(X, y, C)
    gap = truth.value(theirs.coef_, theirs.intercept_) - truth.minimum
    assert gap <= theirs.certificate_.gap_bound + 1e-12
    assert theirs.certificate_.converged


def test_sklearn_logistic_has_the_weights_of_scikit_learn(few_digits):
    X, y = few_digits
    probe = LogisticProbe(0.1, engine="sklearn").fit(X, y)
    model = LogisticRegression(C=0.1, tol=1e-6, max_iter=1000).fit(X, y)
    np.testing.assert_array_equal(probe.coef_, model.coef_)


def test_a_loose_logistic_engine_is_found_out(few_digits):
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        probe = LogisticProbe(1.0, engine="sklearn", max_iter=3).fit(*few_digits)
    assert not probe.certificate_.converged


def test_a_path_of_an_engine(few_digits):
    X, y = few_digits
    swept = dict(LogisticProbe(engine="sklearn").sweep(X, y, X, [0.1, 0.001]))
    for C, proba in swept.items():
        alone = LogisticProbe(C, engine="sklearn").fit(X, y)
        np.testing.assert_allclose(proba, alone.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("probe", PROBES)
def test_an_engine_that_is_none(few_digits, probe):
    with pytest.raises(InvalidInputError, match="engine must be one of 'torch', 'sklearn', 'cuml'"):
        probe(engine="jax").fit(*few_digits)
