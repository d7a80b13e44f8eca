"""Weights of rows and classes, and one class against the rest: scikit-learn's meaning."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_matrix
from scipy.special import expit, log_expit, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils.class_weight import compute_class_weight

from featstore.errors import InvalidInputError
from featstore.probes import LogisticProbe, logistic_path
from featstore.probes.inputs import Targets
from featstore.probes.weighting import Weighting

C = 0.1
TIGHT = {"C": C, "tol": 1e-13}


def newton(X, y, sample_weight=None, **arguments):
    model = LogisticRegression(
        C=arguments.pop("C", C), solver="newton-cholesky", tol=1e-12, max_iter=1000, **arguments
    )
    return model.fit(X, y, sample_weight)


def objective(coef, intercept, X, y, weights, C=C):
    """The weighted mean loss and penalty of labels (n,), in NumPy."""
    Z = X @ coef.T + intercept
    if len(coef) == 1:
        losses = -log_expit(np.where(y == y.max(), 1, -1) * Z[:, 0])
    else:
        codes = np.unique(y, return_inverse=True)[1]
        losses = -np.log(softmax(Z, axis=1)[np.arange(len(Z)), codes])
    return weights @ losses / weights.sum() + (coef**2).sum() / (2 * C * weights.sum())


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(0).exponential(size=300) ** 2


@pytest.mark.parametrize("n_classes", [10, 2])
def test_weights_of_rows(few_digits, weights, n_classes):
    X, y = few_digits[0], few_digits[1] % n_classes
    probe = LogisticProbe(**TIGHT).fit(X, y, sample_weight=weights)
    model = newton(X, y, weights)
    np.testing.assert_allclose(probe.coef_, model.coef_, atol=1e-5)
    np.testing.assert_allclose(probe.predict_proba(X), model.predict_proba(X), atol=1e-5)
    expected = objective(model.coef_, model.intercept_, X, y, weights)
    assert probe.certificate_.objective == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 7: 0.1}])
@pytest.mark.parametrize("n_classes", [10, 2])
@pytest.mark.parametrize("rows_weigh", [False, True])
def test_weights_of_classes(few_digits, weights, class_weight, n_classes, rows_weigh):
    X, y = few_digits[0][:200], few_digits[1][:200] % n_classes
    if n_classes == 2 and class_weight != "balanced":
        class_weight = {0: 3.0}
    sample_weight = weights[:200] if rows_weigh else None
    probe = LogisticProbe(**TIGHT, class_weight=class_weight).fit(X, y, sample_weight)
    model = newton(X, y, sample_weight, class_weight=class_weight)
    np.testing.assert_allclose(probe.coef_, model.coef_, atol=1e-5)
    np.testing.assert_allclose(probe.predict_proba(X), model.predict_proba(X), atol=1e-5)


def test_names_of_classes_weigh_too(few_digits):
    X, y = few_digits
    names = np.asarray(["owl", "jay"])[(y > 4).astype(int)]
    probe = LogisticProbe(**TIGHT, class_weight={"owl": 4}).fit(X, names)
    model = newton(X, names, class_weight={"owl": 4})
    np.testing.assert_allclose(probe.coef_, model.coef_, atol=1e-5)


@pytest.mark.parametrize("labels", ["classes", "two classes", "indicator", "one against the rest"])
@pytest.mark.parametrize("n", [40, 300])
def test_a_whole_number_repeats_a_row_and_zero_leaves_it_out(few_digits, labels, n):
    X, y = few_digits[0][:n], few_digits[1][:n]
    if labels == "two classes":
        y = y % 2
    if labels == "indicator":
        y = np.stack([y % 2 == 0, y > 4, y == 7], axis=1)
    times = np.random.default_rng(1).integers(0, 4, size=n)
    repeated = np.repeat(np.arange(n), times)
    options = {**TIGHT, "multi_class": "ovr" if labels == "one against the rest" else "multinomial"}
    weighted = LogisticProbe(**options).fit(X, y, times)
    plain = LogisticProbe(**options).fit(X[repeated], y[repeated])
    np.testing.assert_allclose(weighted.coef_, plain.coef_, atol=1e-6)
    np.testing.assert_allclose(weighted.intercept_, plain.intercept_, atol=1e-6)
    one, other = weighted.certificate_, plain.certificate_
    assert one.objective == pytest.approx(other.objective, rel=1e-12)


def test_a_class_without_weight_is_never_predicted(few_digits):
    X, y = few_digits
    kept = y != 3
    weighted = LogisticProbe(**TIGHT).fit(X, y, kept)
    plain = LogisticProbe(**TIGHT).fit(X[kept], y[kept])
    assert weighted.classes_.tolist() == list(range(10))
    others = [c for c in range(10) if c != 3]
    np.testing.assert_allclose(weighted.coef_[others], plain.coef_, atol=1e-6)
    assert weighted.intercept_[3] == -np.inf
    proba = weighted.predict_proba(X)
    np.testing.assert_array_equal(proba[:, 3], 0)
    np.testing.assert_allclose(proba[:, others], plain.predict_proba(X), atol=1e-6)
    with pytest.raises(InvalidInputError, match="one class only, 3, that has any weight"):
        LogisticProbe().fit(X, y, ~kept)


@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("max_iter", [1, 4, 15, 1000])
@pytest.mark.parametrize("kind", ["softmax", "binary"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_bound_holds_with_weights(few_digits, weights, C, max_iter, kind):
    X, y = few_digits[0] + 3, few_digits[1] if kind == "softmax" else few_digits[1] % 2
    steep = np.where(weights > 1, 1e3 * weights, weights)
    model = newton(X - 3, y, steep, C=C)
    minimum = objective(model.coef_, model.intercept_, X - 3, y, steep, C)
    probe = LogisticProbe(C, max_iter=max_iter).fit(X, y, steep)
    found = probe.certificate_
    reached = objective(probe.coef_, probe.intercept_, X, y, steep, C)
    assert found.objective == pytest.approx(reached, rel=1e-9)
    assert found.objective - minimum <= found.gap_bound + 1e-12
    if max_iter == 1000:
        assert found.converged
        assert found.objective / minimum - 1 <= 1e-6
        assert found.gap_bound <= 1e-4 * found.objective


@pytest.mark.parametrize("class_weight", [None, "balanced", {1: 5.0}, {0: 0.2, 1: 2.0}])
@pytest.mark.parametrize("rows_weigh", [False, True])
def test_labels_with_weights_are_separate_problems(few_digits, weights, class_weight, rows_weigh):
    X, y = few_digits
    Y = np.stack([y % 2 == 0, y > 4, y == 7], axis=1)
    sample_weight = weights if rows_weigh else None
    probe = LogisticProbe(**TIGHT, class_weight=class_weight).fit(X, Y, sample_weight)
    for j, column in enumerate(Y.T):
        model = newton(X, column.astype(int), sample_weight, class_weight=class_weight)
        np.testing.assert_allclose(probe.coef_[j], model.coef_[0], atol=1e-5)
        np.testing.assert_allclose(probe.intercept_[j], model.intercept_[0], atol=1e-5)
    assert probe.certificate_.gap_bound <= 1e-9


# One class against the rest


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_one_against_the_rest_is_that_of_scikit_learn(few_digits, class_weight):
    X, y = few_digits
    probe = LogisticProbe(**TIGHT, multi_class="ovr", class_weight=class_weight).fit(X, y)
    model = OneVsRestClassifier(
        LogisticRegression(
            C=C, solver="newton-cholesky", tol=1e-12, max_iter=1000, class_weight=class_weight
        )
    ).fit(X, y)
    coef = np.concatenate([e.coef_ for e in model.estimators_])
    np.testing.assert_allclose(probe.coef_, coef, atol=1e-5)
    np.testing.assert_allclose(probe.decision_function(X), model.decision_function(X), atol=1e-4)
    np.testing.assert_allclose(probe.predict_proba(X), model.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(probe.predict(X), model.predict(X))


def test_weights_of_classes_are_weights_of_rows_against_the_rest(few_digits):
    X, y = few_digits
    factors = {0: 3.0, 7: 0.1}
    rows = compute_class_weight(factors, classes=np.arange(10), y=y)[y]
    probe = LogisticProbe(**TIGHT, multi_class="ovr", class_weight=factors).fit(X, y)
    for j in range(10):
        model = newton(X, y == j, rows)
        np.testing.assert_allclose(probe.coef_[j], model.coef_[0], atol=1e-5)


def test_two_classes_are_the_same_either_way(few_digits):
    X, y = few_digits[0], few_digits[1] % 2
    one, other = (LogisticProbe(multi_class=kind).fit(X, y) for kind in ("ovr", "multinomial"))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_probabilities_add_up_where_all_classes_are_hopeless(few_digits):
    X, y = few_digits
    probe = LogisticProbe(multi_class="ovr").fit(X, y)
    far = 1e5 * (X - X.mean(axis=0))
    proba = probe.predict_proba(far)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    shares = expit(probe.decision_function(X))
    np.testing.assert_allclose(
        probe.predict_proba(X), shares / shares.sum(axis=1, keepdims=True), rtol=1e-9
    )


def test_many_classes_against_the_rest():
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(210), 3)
    X = rng.normal(size=(210, 5))[y] + rng.normal(size=(630, 5))
    probe = LogisticProbe(0.1, tol=1e-10, multi_class="ovr").fit(X, y)
    for j in (0, 100, 209):
        model = newton(X, y == j)
        np.testing.assert_allclose(probe.coef_[j], model.coef_[0], atol=1e-4)


# Other engines, paths, sparse labels, and what is refused


@pytest.mark.parametrize("kind", ["classes", "ovr", "indicator"])
def test_engines_take_weights(few_digits, weights, kind):
    X, y = few_digits
    labels = np.stack([y % 2 == 0, y > 4, y > 100], axis=1) if kind == "indicator" else y
    options = {"multi_class": "ovr" if kind == "ovr" else "multinomial"}
    ours, theirs = (
        LogisticProbe(
            C, tol=1e-8, max_iter=10_000, class_weight="balanced", engine=engine, **options
        ).fit(X, labels, weights)
        for engine in ("torch", "sklearn")
    )
    np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X), atol=1e-3)
    assert theirs.certificate_.solver == "sklearn float64"
    apart = theirs.certificate_.objective - ours.certificate_.objective
    assert -ours.certificate_.gap_bound <= apart <= theirs.certificate_.gap_bound + 1e-12


def test_engines_need_rows_in_memory(few_digits):
    class View:
        def __init__(self, X):
            self.X, self.shape, self.dtype = X, X.shape, X.dtype

        def batches(self, size=None):
            yield self.X

        def take(self, index):
            return self.X[index]

    view = View(few_digits[0])
    with pytest.raises(InvalidInputError, match="engine='sklearn' needs all rows in memory"):
        LogisticProbe(engine="sklearn", max_memory="50MB").fit(view, few_digits[1])


@pytest.mark.parametrize("options", [{"class_weight": "balanced"}, {"multi_class": "ovr"}])
def test_paths_take_weights(few_digits, weights, options):
    X, y = few_digits
    for probe in logistic_path(X, y, [1.0, 1e-2], sample_weight=weights, tol=1e-12, **options):
        alone = LogisticProbe(probe.C, tol=1e-12, **options).fit(X, y, weights)
        np.testing.assert_allclose(probe.coef_, alone.coef_, atol=1e-4)
        assert probe.get_params() == alone.get_params()


@pytest.mark.parametrize("kind", [csr_matrix, coo_array])
def test_sparse_indicators(few_digits, kind):
    X, y = few_digits
    Y = np.stack([y == 3, np.isin(y, [1, 7]), y > 100], axis=1)
    sparse = LogisticProbe().fit(X, kind(Y.astype(np.int8)))
    dense = LogisticProbe().fit(X, Y)
    assert sparse.classes_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(sparse.coef_, dense.coef_)
    np.testing.assert_array_equal(sparse.predict(X), dense.predict(X))
    with pytest.raises(InvalidInputError, match=r"sparse y of shape .* indicator of 0 and 1"):
        LogisticProbe().fit(X, kind(2 * Y))


@pytest.mark.parametrize(
    ("sample_weight", "message"),
    [
        ([1.0, 2.0], r"shape \(300,\), one weight per row of X, got \(2,\)"),
        (np.ones((300, 2)), r"got \(300, 2\)"),
        (np.r_[-1.0, np.ones(299)], "negative or not finite, such as -1 of row 0"),
        (np.r_[np.ones(299), np.nan], "such as nan of row 299"),
        (np.zeros(300), "all 300 values of sample_weight are zero"),
    ],
)
def test_weights_that_are_refused(few_digits, sample_weight, message):
    with pytest.raises(InvalidInputError, match=message):
        LogisticProbe().fit(*few_digits, sample_weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weight": "heavy"}, "None, 'balanced' or a dict, got 'heavy'"),
        ({"class_weight": {11: 2.0}}, "not in class_weight"),
        ({"class_weight": {1: -2.0}}, "finite and not negative"),
        ({"multi_class": "crammer-singer"}, "'multinomial' or 'ovr', got 'crammer-singer'"),
    ],
)
def test_options_that_are_refused(few_digits, options, message):
    with pytest.raises(InvalidInputError, match=message):
        LogisticProbe(**options).fit(*few_digits)


def test_labels_of_an_indicator_are_0_and_1(few_digits):
    X, y = few_digits
    with pytest.raises(InvalidInputError, match=r"are 0 and 1; class_weight has the keys \[2, 3\]"):
        LogisticProbe(class_weight={2: 1.0, 3: 2.0}).fit(X, np.stack([y == 3, y > 4], axis=1))


def test_a_number_weighs_all_rows():
    targets = Targets.of(["a", "b", "a"], n_samples=3)
    weighting = Weighting.of(targets, sample_weight=2.5)
    assert weighting.total == 7.5
    np.testing.assert_array_equal(weighting.rows, 1)
    assert Weighting.of(targets).rows is None


def test_warning_is_about_the_probe(few_digits, weights):
    with pytest.warns(ConvergenceWarning, match="max_iter=2 was reached"):
        LogisticProbe(max_iter=2).fit(*few_digits, weights)
