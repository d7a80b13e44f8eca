"""RidgeProbe against scikit-learn, brute force, and a restatement of big_vision's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV

from featstore.errors import InvalidInputError
from featstore.probes import RidgeProbe

ALPHAS = [1e-4, 1e-2, 1.0, 100.0]


def tags(y):
    """Three labels per digit; zeros have none of them."""
    # Of int: scikit-learn would make all of a bool indicator's -1 True.
    return np.stack([y % 2 == 1, np.isin(y, [2, 3, 5, 7]), y > 4], axis=1).astype(int)


def one_hot_pm1(y):
    return 2.0 * np.eye(y.max() + 1)[y] - 1


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("n", [40, 64, 1000])
def test_scores_are_those_of_scikit_learn(digits, n, alpha):
    X, y = digits
    for labels in (y[:n], y[:n] % 2, tags(y[:n])):
        probe = RidgeProbe(alpha).fit(X[:n], labels)
        model = RidgeClassifier(alpha=alpha, solver="svd").fit(X[:n], labels)
        np.testing.assert_allclose(probe.coef_, np.atleast_2d(model.coef_), atol=1e-10)
        np.testing.assert_allclose(probe.intercept_, model.intercept_, atol=1e-10)
        np.testing.assert_allclose(
            probe.decision_function(X), model.decision_function(X), atol=1e-10
        )
        np.testing.assert_array_equal(probe.predict(X), model.predict(X))


def test_without_a_penalty_it_is_the_shortest_least_squares_solution(digits):
    X, y = digits
    X = np.c_[X, X[:, :5], np.ones(len(X))]  # duplicate and constant columns
    for n in (50, 500):
        centred = X[:n] - X[:n].mean(axis=0)
        expected = np.linalg.lstsq(centred, one_hot_pm1(y[:n]), rcond=1e-10)[0].T
        np.testing.assert_allclose(RidgeProbe(0).fit(X[:n], y[:n]).coef_, expected, atol=1e-8)


def big_vision(X, y, queries, l2):
    """evaluators/fewshot_lsr.py of google-research/big_vision, restated with one solve."""
    mean, std = X.mean(axis=0), X.std(axis=0) + 1e-5
    bias = np.full((len(X), 1), 100.0)
    A = np.c_[(X - mean) / std, bias]
    W = np.linalg.solve(A.T @ A + l2 * np.eye(A.shape[1]), A.T @ one_hot_pm1(y))
    return np.c_[(queries - mean) / std, np.full((len(queries), 1), 100.0)] @ W


@pytest.mark.parametrize("n", [30, 100, 1000])
def test_big_visions_few_shot_probe(digits, n):
    X, y = digits
    X = X + 0.01 * np.random.default_rng(0).normal(size=X.shape)
    probe = RidgeProbe(1024.0, standardise=True, std_offset=1e-5, bias=100.0).fit(X[:n], y[:n])
    expected = big_vision(X[:n], y[:n], X, 1024.0)
    np.testing.assert_allclose(probe.decision_function(X), expected, atol=1e-9)


def brute_force_loo(X, Y, alpha):
    """Mean squared error of every row under the solution of all the others."""
    total = 0.0
    for i in range(len(X)):
        rest = np.arange(len(X)) != i
        mean, target = X[rest].mean(axis=0), Y[rest].mean(axis=0)
        Z = X[rest] - mean
        W = np.linalg.solve(Z.T @ Z + alpha * np.eye(X.shape[1]), Z.T @ (Y[rest] - target))
        total += np.square(Y[i] - target - (X[i] - mean) @ W).sum()
    return total / len(X)


def hat_gcv(X, Y, alpha):
    n = len(X)
    Z = X - X.mean(axis=0)
    H = Z @ np.linalg.solve(Z.T @ Z + alpha * np.eye(X.shape[1]), Z.T) + 1 / n
    return n * np.square(Y - H @ Y).sum() / (n - np.trace(H)) ** 2


def path_of(X, y):
    probe = RidgeProbe()
    stream, targets = probe._open(X, y)
    return probe._path(stream, targets), stream, targets


@pytest.mark.parametrize("n", [30, 100])
def test_leave_one_out_and_gcv_are_what_they_say(digits, n):
    X, y = digits[0][:n], digits[1][:n]
    for labels, Y in ((y, one_hot_pm1(y)), (y % 2, 2.0 * (y % 2)[:, None] - 1)):
        path, stream, targets = path_of(X, labels)
        expected = [brute_force_loo(X, Y, alpha) for alpha in ALPHAS]
        found = path.leave_one_out(ALPHAS, stream, targets)
        np.testing.assert_allclose(found, expected, rtol=1e-8)
        np.testing.assert_allclose(
            path.gcv(ALPHAS), [hat_gcv(X, Y, alpha) for alpha in ALPHAS], rtol=1e-8
        )


def test_leave_one_out_does_not_drown_in_rounding_near_interpolation(digits):
    X, y = digits[0][:30], digits[1][:30]
    path, stream, targets = path_of(X, y)
    tiny = path.eigenvalues.amax().item() * 1e-14
    # In the limit: the shortest interpolant of all rows but one.
    errors = []
    for i in range(30):
        rest = np.arange(30) != i
        model = RidgeProbe(0).fit(X[rest], y[rest])
        W = np.zeros((10, 64))
        b = np.full(10, -1.0)
        W[model.classes_], b[model.classes_] = model.coef_, model.intercept_
        errors.append(np.square(one_hot_pm1(y)[i] - X[i] @ W.T - b).sum())
    assert path.leave_one_out([tiny], stream, targets)[0] == pytest.approx(np.mean(errors))


def test_it_chooses_the_penalty_that_scikit_learn_chooses(digits):
    X, y = digits[0][:300], digits[1][:300]
    alphas = np.logspace(-4, 3, 15)
    probe = RidgeProbe("loo", alphas=alphas).fit(X, y)
    model = RidgeClassifierCV(alphas=alphas).fit(X, y)
    assert (probe.alpha_, probe.chosen_by_) == (model.alpha_, "leave-one-out")
    fixed = RidgeProbe(probe.alpha_).fit(X, y)
    np.testing.assert_array_equal(probe.coef_, fixed.coef_)
    assert fixed.chosen_by_ == ""


@pytest.mark.parametrize("rule", ["loo", "gcv"])
def test_the_chosen_penalty_follows_the_scale_of_the_features(digits, rule):
    X, y = digits[0][:500], digits[1][:500]
    plain = RidgeProbe(rule).fit(X, y)
    for scale in (1e-6, 1e6):
        scaled = RidgeProbe(rule).fit(X * scale, y)
        assert scaled.alpha_ == pytest.approx(plain.alpha_ * scale**2, rel=1e-4)
        np.testing.assert_allclose(
            scaled.decision_function(X * scale), plain.decision_function(X), atol=1e-4
        )


def test_a_sweep_is_one_fit_per_value(digits):
    X, y = digits
    swept = list(RidgeProbe().sweep(X[:500], y[:500], X[500:], ALPHAS))
    assert [alpha for alpha, _ in swept] == ALPHAS
    for alpha, scores in swept:
        np.testing.assert_allclose(
            scores, RidgeProbe(alpha).fit(X[:500], y[:500]).predict_proba(X[500:]), atol=1e-12
        )


def test_conditioning(digits):
    X, y = digits[0][:500], digits[1][:500]
    alpha = 0.3
    singular = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2
    rank = int((singular > 1e-9 * singular[0]).sum())
    certificate = RidgeProbe(alpha).fit(X, y).certificate_
    assert certificate.rank == rank
    assert certificate.condition_number == pytest.approx(
        (singular[0] + alpha) / (singular[rank - 1] + alpha)
    )
    assert certificate.effective_dof == pytest.approx(1 + (singular / (singular + alpha)).sum())
    assert 0 <= certificate.residual < 1e-12


def test_probabilities_keep_the_order_of_the_scores(digits):
    X, y = digits
    for labels in (y, y % 2, tags(y)):
        probe = RidgeProbe().fit(X, labels)
        proba, scores = probe.predict_proba(X), probe.decision_function(X)
        assert proba.shape == (len(X), 2 if scores.ndim == 1 else scores.shape[1])
        assert ((proba >= 0) & (proba <= 1)).all()
        if labels.ndim == 2:
            np.testing.assert_allclose(proba, 1 / (1 + np.exp(-2 * scores)))
            continue
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        np.testing.assert_array_equal(probe.classes_[proba.argmax(axis=1)], probe.predict(X))


def test_constant_labels_keep_their_mean(digits):
    X, y = digits
    labels = np.stack([y > 4, np.zeros_like(y), np.ones_like(y)], axis=1)
    probe = RidgeProbe().fit(X, labels)
    np.testing.assert_allclose(probe.coef_[1:], 0, atol=1e-12)
    np.testing.assert_allclose(probe.intercept_[1:], [-1, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"alpha": -1.0}, "alpha must be finite and not negative, got -1"),
        ({"alpha": float("nan")}, "alpha must be finite"),
        ({"alpha": "cv"}, "a number, 'loo' or 'gcv', got 'cv'"),
        ({"alpha": "loo", "alphas": [0.0, 1.0]}, "alphas must be positive"),
        ({"alpha": "gcv", "alphas": []}, "alphas must be positive"),
        ({"std_offset": -1.0}, "std_offset must not be negative"),
        ({"bias": 0.0}, "bias must be finite and not 0"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"device": "tpu"}, "device must be"),
    ],
)
def test_bad_parameters(digits, arguments, match):
    with pytest.raises(InvalidInputError, match=match):
        RidgeProbe(**arguments).fit(*digits)


def test_a_sweep_refuses_bad_values(digits):
    X, y = digits
    with pytest.raises(InvalidInputError, match="not negative"):
        list(RidgeProbe().sweep(X, y, X, [-1.0]))
