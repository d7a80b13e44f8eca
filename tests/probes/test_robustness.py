"""What every probe promises: the same answer to the same question, and robust numbers.

A new probe is a line in `PROBES`; what it cannot promise is an entry with its reason.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import ortho_group
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from featstore.errors import InvalidInputError
from featstore.probes import (
    CentroidProbe,
    GaussianProbe,
    KNNProbe,
    LDAProbe,
    LogisticProbe,
    MLPProbe,
    RidgeProbe,
    SGDProbe,
    SVMProbe,
)
from featstore.store import FeatureStore

_SGD = {"lr": 0.1, "epochs": 15, "batch_size": 64, "init": "zeros"}
PROBES = {
    "logistic": LogisticProbe(0.1, tol=1e-10),
    "logistic, one against the rest": LogisticProbe(0.1, tol=1e-10, multi_class="ovr"),
    "logistic in passes": LogisticProbe(0.1, tol=1e-10, max_memory=5_000_000),
    "kNN": KNNProbe(5),
    "kNN by distance": KNNProbe(5, metric="euclidean", weights="uniform"),
    "ridge": RidgeProbe(),
    "ridge-loo": RidgeProbe("loo"),
    "ridge-gcv": RidgeProbe("gcv"),
    "bigvision": RidgeProbe(1024.0, standardise=True, std_offset=1e-5, bias=100.0),
    "lda": LDAProbe(0.1),
    "lda-auto": LDAProbe(),
    "centroid": CentroidProbe(),
    "cosine": CentroidProbe(metric="cosine"),
    "simpleshot": CentroidProbe(normalise=True, centre=True),
    "gaussian": GaussianProbe(1e-3, temperature="n_features"),
    "dlda": GaussianProbe(1e-3, variances="pooled", temperature="n_features"),
    "SVM": SVMProbe(0.1, tol=1e-10),
    "SGD": SGDProbe(**_SGD),
    "MLP": MLPProbe(widths=(64,), lrs=(0.01,), epochs=20, batch_size=64),
}
#: Probes that are tested elsewhere, and why.
ELSEWHERE = {
    "WeightDecayProbe": "is SGDProbe with another parameter",
    "SGDGridProbe": "is SGDProbe with two parameters",
    "AttentiveProbe": "looks at tokens: test_attentive.py",
}
LOGISTIC = [name for name in PROBES if name.startswith("logistic")]
KNN = [name for name in PROBES if name.startswith("kNN")]
LDA = [name for name in PROBES if name.startswith("lda")]

#: Promises that a probe cannot make, and why.
EXCEPTIONS: dict[str, dict[str, str]] = {
    "order": dict.fromkeys(["SGD", "MLP"], "the order of the rows is the training's"),
    "renaming": {"MLP": "starts from random weights, others for each column"},
    "rotation": {
        "MLP": "starts from random weights, which are not rotated",
        "bigvision": "standardises columns",
        "gaussian": "looks at columns one by one",
        "dlda": "looks at columns one by one",
    },
    "dual": {
        "MLP": "starts from random weights, others in more dimensions",
        "logistic in passes": "the space of n < d rows takes 6 n d numbers, and more than allowed",
        **dict.fromkeys(LDA, "tr S / d has another d; see test_discriminant.py for few rows"),
        "bigvision": "standardises columns",
        "gaussian": "looks at columns one by one",
        "dlda": "looks at columns one by one",
    },
    "one row per class": dict.fromkeys(LDA, "there is no covariance within classes: an error"),
    "small scale": {
        **dict.fromkeys([*LOGISTIC, "SVM"], "C is meant for features near 1"),
        "ridge": "alpha is meant for features near 1",
        "bigvision": "std_offset is meant for features near 1",
        "SGD": "the learning rate is meant for features near 1",
    },
    "one column": {"kNN": "the cosine of one column is its sign: all that agree are neighbours"},
    "rare labels": dict.fromkeys(["SGD", "MLP"], "a short training does not find three rows"),
    "no difference": {
        **dict.fromkeys(LDA, "there is no covariance: an error"),
        **dict.fromkeys(["centroid", "cosine", "simpleshot"], "knows no shares of classes"),
        **dict.fromkeys(KNN, "the first rows are the neighbours"),
    },
}

#: How far probabilities may lie apart where they should be equal.
TOLERANCE = {
    **dict.fromkeys(PROBES, 1e-7),
    **dict.fromkeys([*LOGISTIC, "SVM"], 1e-4),  # a relative gap of 1e-10 is a distance of 1e-5
    **dict.fromkeys(KNN, 1e-5),  # similarities are float32, and divided by 0.07
    **dict.fromkeys(["SGD", "MLP"], 1e-3),  # float32 over whole trainings
}


def promise(name: str | None = None) -> pytest.MarkDecorator:
    """Parametrise a test over the probes that promise something."""
    excepted = EXCEPTIONS.get(name or "", {})
    return pytest.mark.parametrize("name", [probe for probe in PROBES if probe not in excepted])


def fitted(name, X, y):
    return clone(PROBES[name]).fit(X, y)


def assert_same(name, one, other, *, atol=0.0):
    """Equal probabilities; of kNN nearly all, as neighbours may tie to the last bit."""
    atol = max(TOLERANCE[name], atol)
    apart = np.abs(np.asarray(one, float) - other).max(axis=1) > atol
    assert apart.mean() <= (0.02 if name in KNN else 0.0), np.abs(one - other).max()


def test_every_registered_probe_is_here():
    from featstore.registry import PROBES as REGISTERED

    classes = {type(probe).__name__ for probe in PROBES.values()}
    assert {place.partition(":")[2] for place in REGISTERED.values()} <= classes | set(ELSEWHERE)


# The same answer to the same question


@promise("order")
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([50, 300]))
def test_the_order_of_the_rows_does_not_matter(name, few_digits, seed, n):
    X, y = few_digits[0][:n], few_digits[1][:n]
    order = np.random.default_rng(seed).permutation(n)
    one, other = fitted(name, X, y), fitted(name, X[order], y[order])
    assert_same(name, one.predict_proba(X), other.predict_proba(X))


@promise("rotation")
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([50, 300]))
def test_a_rotation_of_the_features_does_not_matter(name, few_digits, seed, n):
    X, y = few_digits[0][:n], few_digits[1][:n]
    Q = ortho_group.rvs(64, random_state=seed)
    one, other = fitted(name, X, y), fitted(name, X @ Q, y)
    assert_same(name, one.predict_proba(X), other.predict_proba(X @ Q))


@promise("renaming")
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_classes=st.integers(2, 10))
def test_renaming_classes_renames_predictions(name, few_digits, seed, n_classes):
    kept = few_digits[1] < n_classes
    X, y = few_digits[0][kept], few_digits[1][kept]
    renamed = np.random.default_rng(seed).permutation(n_classes)
    words = np.asarray([f"class {'zyxwvutsrq'[i]}" for i in range(n_classes)])
    one, other = fitted(name, X, y), fitted(name, X, words[renamed[y]])
    columns = [list(other.classes_).index(words[renamed[i]]) for i in range(n_classes)]
    proba = one.predict_proba(X)
    assert_same(name, proba, other.predict_proba(X)[:, columns])
    top = np.sort(proba, axis=1)
    clear = top[:, -1] - top[:, -2] > 1e-2
    if name not in KNN:
        named = words[renamed[one.predict(X)]]
        np.testing.assert_array_equal(named[clear], other.predict(X)[clear])


@promise("dual")
def test_the_dual_form_is_the_primal_one(name, few_digits):
    """Rows embedded in more dimensions than there are rows, without moving against each other."""
    X, y = few_digits
    embedding = np.linalg.qr(np.random.default_rng(0).normal(size=(400, 64)))[0].T
    primal, dual = fitted(name, X, y), fitted(name, X @ embedding, y)
    assert_same(name, primal.predict_proba(X), dual.predict_proba(X @ embedding))


@promise()
def test_a_view_read_in_pieces_is_the_array(
    name, digits, new_store: Callable[..., FeatureStore]
) -> None:
    X, y = digits
    rows = np.flatnonzero(np.arange(len(X)) % 7)
    labels = np.asarray([f"digit {d}" for d in y])[rows]
    streams = getattr(PROBES[name], "streams", False)
    ceiling = None if not streams else 200_000 if name in ("SGD", "MLP") else 40_000
    view = new_store(len(X), pixels=X).view("pixels", rows=rows, max_memory=ceiling)
    in_pieces = fitted(name, view, labels)
    array = X[rows].astype(np.float16)
    whole = fitted(name, array, labels)
    assert_same(name, in_pieces.predict_proba(view), whole.predict_proba(array), atol=1e-6)
    assert (in_pieces.predict(view) == whole.predict(array)).mean() > 0.999
    assert in_pieces.n_features_in_ == 64


@promise()
def test_half_precision_features_cost_little(name, digits):
    """Rounding to 11 bits moves probabilities by 0.02 at most; to 8 bits by 0.15."""
    X, y = digits
    X = X + 0.01 * np.random.default_rng(0).normal(size=X.shape)  # not exact in float16
    train = slice(0, 1000)
    single = fitted(name, X[train].astype(np.float32), y[train]).predict_proba(X.astype("f4"))
    for half, atol in (
        (X.astype(np.float16), 0.02),
        (torch.from_numpy(X).bfloat16(), 0.15),
    ):
        proba = fitted(name, half[train], y[train]).predict_proba(half)
        assert_same(name, proba, single, atol=atol)
        assert (proba.argmax(axis=1) == single.argmax(axis=1)).mean() > 0.99


@promise()
def test_bfloat_tensors_are_read_as_they_are(name, digits):
    X, y = digits
    tensor = torch.from_numpy(X[:, :32] * 1.01).bfloat16()
    half, wide = fitted(name, tensor, y), fitted(name, tensor.float(), y)
    assert_same(name, half.predict_proba(tensor), wide.predict_proba(tensor.float()), atol=1e-6)


@promise()
def test_sources_of_features(name, few_digits):
    X, y = few_digits
    X = X.astype(np.float32)
    expected = fitted(name, X, y).predict_proba(X)
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(64)])
    for source in (torch.from_numpy(X), frame, X[::-1][::-1], np.asfortranarray(X)):
        assert_same(name, fitted(name, source, y).predict_proba(source), expected, atol=1e-6)
    assert fitted(name, frame, y).feature_names_in_.tolist() == frame.columns.tolist()


@promise()
def test_the_features_are_not_written_to(name, few_digits):
    X, y = few_digits[0].copy(), few_digits[1].copy()
    fitted(name, X, y).predict_proba(X)
    np.testing.assert_array_equal(X, few_digits[0])
    np.testing.assert_array_equal(y, few_digits[1])


# Robust numbers


@promise()
def test_duplicate_and_constant_columns(name, digits):
    X, y = digits
    X = np.c_[X, X, np.full((len(X), 3), 0.1), np.zeros((len(X), 2))]
    probe = fitted(name, X[:1000], y[:1000])
    assert np.isfinite(probe.predict_proba(X)).all()
    assert probe.score(X[1000:], y[1000:]) > 0.75


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@promise()
def test_scales(name, digits, scale):
    X, y = digits
    probe = clone(PROBES[name])
    if name in LOGISTIC:
        probe.set_params(max_iter=50)  # C = 0.1 is 1e11 at the large scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(X[:1000] * scale, y[:1000])
    proba = probe.predict_proba(X * scale)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    if scale == 1e6 or name not in EXCEPTIONS["small scale"]:
        assert probe.score(X[1000:] * scale, y[1000:]) > 0.75


@promise("one column")
def test_one_column(name):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200)
    X = (3.0 * y - 1.5 + rng.normal(size=400))[:, None]
    assert fitted(name, X, y).score(X, y) > 0.9


@promise("one row per class")
def test_one_row_per_class(name, digits):
    X, y = digits
    first = np.unique(y, return_index=True)[1]
    probe = clone(PROBES[name])
    if name in KNN:
        probe.set_params(k=1)
    probe.fit(X[first], y[first])
    np.testing.assert_array_equal(probe.predict(X[first]), y[first])
    assert np.isfinite(probe.predict_proba(X)).all()


@pytest.mark.parametrize("name", LDA)
def test_one_row_per_class_is_refused(name, digits):
    X, y = digits
    first = np.unique(y, return_index=True)[1]
    with pytest.raises(InvalidInputError, match="do not differ from their class means"):
        fitted(name, X[first], y[first])


@promise()
def test_classes_without_rows_are_not_known(name, few_digits):
    X, y = few_digits
    kept = np.isin(y, [2, 5, 9])
    probe = fitted(name, X[kept], y[kept])
    assert probe.classes_.tolist() == [2, 5, 9]
    assert probe.predict_proba(X).shape == (300, 3)
    assert set(probe.predict(X)) <= {2, 5, 9}


@promise()
def test_thousands_of_classes(name):
    """Two rows of each class; of fewer of them where every class costs a pass, to be quick."""
    probe, n_classes = clone(PROBES[name]), 10_000
    if name in LOGISTIC:
        probe.set_params(tol=1e-2, max_memory=None if "passes" not in name else "20MB")
        n_classes = 500
    if name in ("SGD", "MLP"):
        rate = {"lr": 0.5} if name == "SGD" else {"lrs": (0.01,), "widths": (256,)}
        probe.set_params(epochs=30, batch_size=256, **rate)
        n_classes = 500
    if name == "SVM":
        probe.set_params(tol=1e-2)
        n_classes = 200
    if name == "ridge-loo":
        probe.set_params(alphas=(0.01, 1.0))
        n_classes = 2000
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(n_classes, 24))
    y = np.repeat(np.arange(n_classes), 2)
    X = (centres[y] + 0.1 * rng.normal(size=(len(y), 24))).astype(np.float32)
    if name in KNN:
        probe.set_params(k=2)
    probe.fit(X, y)
    proba = probe.predict_proba(X[:200])
    assert proba.shape == (200, n_classes)
    assert np.isfinite(proba).all()
    assert (probe.predict(X[:200]) == y[:200]).mean() > 0.5


@promise()
def test_separable_classes_and_hardly_any_penalty(name):
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(3), 40)
    X = 10 * np.eye(3)[y] @ rng.normal(size=(3, 5)) + 0.1 * rng.normal(size=(120, 5))
    probe = clone(PROBES[name])
    weakest = {"C": 1e8, "alpha": 0.0, "shrinkage": 0.0, "var_smoothing": 1e-12}
    parameter = probe.parameter
    if parameter in weakest:
        probe.set_params(**{parameter: weakest[parameter]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(X, y)
    np.testing.assert_array_equal(probe.predict(X), y)
    assert np.isfinite(probe.predict_proba(X)).all()


@promise()
def test_sparse_labels_and_rows_without_any(name, digits):
    X, y = digits
    labels = np.zeros((len(X), 6), int)
    labels[y == 3, 0] = labels[y < 2, 1] = labels[np.isin(y, [1, 7]), 2] = labels[:3, 3] = 1
    labels[:, 5] = 1
    probe = fitted(name, X, labels)
    proba = probe.predict_proba(X)
    assert proba.shape == labels.shape
    assert ((proba >= 0) & (proba <= 1)).all()
    for column in range(3 if name in EXCEPTIONS["rare labels"] else 4):
        with_label = labels[:, column] == 1
        assert proba[with_label, column].mean() > proba[~with_label, column].mean()
    assert (proba[:, 5] > proba[:, 4]).all()
    sparse = fitted(name, X, csr_array(labels))
    np.testing.assert_array_equal(sparse.predict_proba(X), proba)
    assert probe.predict(X).shape == labels.shape


@promise("no difference")
def test_rows_without_any_difference_predict_by_share(name):
    X, y = np.ones((30, 4)), np.repeat([0, 1, 1], 10)
    proba = fitted(name, X, y).predict_proba(X)
    assert np.isfinite(proba).all()
    assert (proba[:, 1] > proba[:, 0]).all()


@pytest.mark.parametrize("name", EXCEPTIONS["no difference"])
def test_rows_without_any_difference_are_refused_or_finite(name):
    X, y = np.ones((30, 4)), np.repeat([0, 1, 1], 10)
    if name in LDA:
        with pytest.raises(InvalidInputError, match="do not differ from their class means"):
            fitted(name, X, y)
        return
    assert np.isfinite(fitted(name, X, y).predict_proba(X)).all()


# What is refused


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
@promise()
def test_rows_that_are_not_finite_are_named(name, few_digits, bad):
    """1e6 is more than float16 can hold."""
    X, y = few_digits[0].copy(), few_digits[1]
    X[[17, 30], 4] = bad
    with np.errstate(over="ignore"):
        X = X.astype(np.float16)
    with pytest.raises(InvalidInputError, match=r"2 of 300 rows .* NaN or infinity: rows 17, 30"):
        fitted(name, X, y)
    probe = fitted(name, *few_digits)
    with pytest.raises(InvalidInputError, match="rows 17, 30"):
        probe.predict(X)


@promise()
def test_a_single_class_is_refused_or_predicted(name, few_digits):
    X = few_digits[0]
    if name in KNN:
        assert (fitted(name, X, np.full(300, "owl")).predict(X) == "owl").all()
        return
    with pytest.raises(InvalidInputError, match="one class only, 'owl'"):
        fitted(name, X, np.full(300, "owl"))


@promise()
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.arange(299), "300 rows and y 299"),
        (np.linspace(0, 1, 300), "Unknown label type: continuous"),
        (np.full(300, np.nan), "NaN"),
        (np.full((300, 2), 3), "indicator of 0 and 1"),
        (None, "y is None"),
    ],
)
def test_labels_that_are_refused(name, few_digits, y, message):
    with pytest.raises(InvalidInputError, match=message):
        fitted(name, few_digits[0], y)
