"""What all closed-form probes promise: scikit-learn's contract, invariance, robust numbers."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from featstore.errors import InvalidInputError
from featstore.probes import CentroidProbe, GaussianProbe, LDAProbe, RidgeProbe
from featstore.store import FeatureStore

PROBES = {
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
}
ROTATED = ["ridge", "ridge-loo", "ridge-gcv", "lda", "lda-auto", "centroid", "cosine", "simpleshot"]
ABSOLUTE = ["ridge", "bigvision"]
LINEAR = ["ridge", "ridge-loo", "bigvision", "lda", "lda-auto", "centroid", "dlda"]


def fitted(name, X, y):
    return clone(PROBES[name]).fit(X, y)


@pytest.mark.parametrize("name", PROBES)
def test_contract_of_scikit_learn(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # checks that do not apply are skipped with a warning
        outcomes = check_estimator(PROBES[name], on_skip=None, on_fail=None)
    assert {o["check_name"]: o["exception"] for o in outcomes if o["status"] == "failed"} == {}


@pytest.mark.parametrize("name", PROBES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([50, 300]))
def test_the_order_of_the_rows_does_not_matter(name, few_digits, seed, n):
    X, y = few_digits[0][:n], few_digits[1][:n]
    order = np.random.default_rng(seed).permutation(n)
    one, other = fitted(name, X, y), fitted(name, X[order], y[order])
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("name", ROTATED)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([50, 300]))
def test_a_rotation_of_the_features_does_not_matter(name, few_digits, seed, n):
    X, y = few_digits[0][:n], few_digits[1][:n]
    Q = ortho_group.rvs(64, random_state=seed)
    one, other = fitted(name, X, y), fitted(name, X @ Q, y)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X @ Q), atol=1e-7)


@pytest.mark.parametrize("name", PROBES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_classes=st.integers(2, 10))
def test_renaming_classes_renames_predictions(name, few_digits, seed, n_classes):
    kept = few_digits[1] < n_classes
    X, y = few_digits[0][kept], few_digits[1][kept]
    renamed = np.random.default_rng(seed).permutation(n_classes)
    words = np.asarray([f"class {'zyxwvutsrq'[i]}" for i in range(n_classes)])
    one, other = fitted(name, X, y), fitted(name, X, words[renamed[y]])
    columns = [list(other.classes_).index(words[renamed[i]]) for i in range(n_classes)]
    proba = one.predict_proba(X)
    np.testing.assert_allclose(proba, other.predict_proba(X)[:, columns], atol=1e-8)
    clear = np.sort(proba, axis=1)[:, -1] - np.sort(proba, axis=1)[:, -2] > 1e-6
    np.testing.assert_array_equal(words[renamed[one.predict(X)]][clear], other.predict(X)[clear])


@pytest.mark.parametrize("name", [name for name in ROTATED if not name.startswith("lda")])
def test_the_dual_form_is_the_primal_one(name, few_digits):
    """Rows embedded in more dimensions than there are rows, without moving against each other.

    Not of LDA, whose tr S / d has another d: see test_discriminant.py for few rows.
    """
    X, y = few_digits
    embedding = np.linalg.qr(np.random.default_rng(0).normal(size=(400, 64)))[0].T
    primal, dual = fitted(name, X, y), fitted(name, X @ embedding, y)
    np.testing.assert_allclose(
        primal.predict_proba(X), dual.predict_proba(X @ embedding), atol=1e-8
    )


@pytest.mark.parametrize("name", PROBES)
def test_a_view_read_in_pieces_is_the_array(
    name, digits, new_store: Callable[..., FeatureStore]
) -> None:
    X, y = digits
    rows = np.flatnonzero(np.arange(len(X)) % 7)
    labels = np.asarray([f"digit {d}" for d in y])[rows]
    view = new_store(len(X), pixels=X).view("pixels", rows=rows, max_memory=40_000)
    streamed = fitted(name, view, labels)
    array = X[rows].astype(np.float16)
    whole = fitted(name, array, labels)
    np.testing.assert_allclose(streamed.predict_proba(view), whole.predict_proba(array), atol=1e-6)
    np.testing.assert_array_equal(streamed.predict(view), whole.predict(array))
    assert streamed.n_features_in_ == 64


@pytest.mark.parametrize("name", PROBES)
def test_half_precision_features_cost_little(name, digits):
    X, y = digits
    X = X + 0.01 * np.random.default_rng(0).normal(size=X.shape)  # not exact in float16
    single = fitted(name, X.astype(np.float32), y).predict_proba(X.astype(np.float32))
    half = fitted(name, X.astype(np.float16), y).predict_proba(X.astype(np.float16))
    np.testing.assert_allclose(half, single, atol=0.02)
    assert (half.argmax(axis=1) == single.argmax(axis=1)).mean() > 0.998


@pytest.mark.parametrize("name", ["ridge", "ridge-loo", "lda", "lda-auto"])
def test_float32_products_cost_little(name, digits):
    X, y = digits
    exact, fast = (
        clone(PROBES[name]).set_params(dtype=d).fit(X, y) for d in ("float64", "float32")
    )
    np.testing.assert_allclose(fast.predict_proba(X), exact.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("name", PROBES)
def test_duplicate_and_constant_columns(name, digits):
    X, y = digits
    X = np.c_[X, X, np.full((len(X), 3), 0.1), np.zeros((len(X), 2))]
    probe = fitted(name, X[:1000], y[:1000])
    assert np.isfinite(probe.predict_proba(X)).all()
    assert probe.score(X[1000:], y[1000:]) > 0.75


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scales(name, digits, scale):
    X, y = digits
    probe = fitted(name, X[:1000] * scale, y[:1000])
    assert np.isfinite(probe.predict_proba(X * scale)).all()
    if scale == 1e-6 and name in ABSOLUTE:
        return  # their constants are meant for features near 1
    assert probe.score(X[1000:] * scale, y[1000:]) > 0.75


@pytest.mark.parametrize("name", PROBES)
def test_one_column(name):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200)
    X = (3.0 * y - 1.5 + rng.normal(size=400))[:, None]
    assert fitted(name, X, y).score(X, y) > 0.9


@pytest.mark.parametrize("name", [name for name in PROBES if not name.startswith("lda")])
def test_one_row_per_class(name, digits):
    X, y = digits
    first = np.unique(y, return_index=True)[1]
    probe = fitted(name, X[first], y[first])
    np.testing.assert_array_equal(probe.predict(X[first]), y[first])
    assert np.isfinite(probe.predict_proba(X)).all()


@pytest.mark.parametrize("name", PROBES)
def test_sparse_labels_and_rows_without_any(name, digits):
    X, y = digits
    labels = np.zeros((len(X), 6), int)
    labels[y == 3, 0] = labels[y < 2, 1] = labels[np.isin(y, [1, 7]), 2] = labels[:3, 3] = 1
    labels[:, 5] = 1
    proba = fitted(name, X, labels).predict_proba(X)
    assert proba.shape == labels.shape
    assert ((proba >= 0) & (proba <= 1)).all()
    for column in range(4):
        with_label = labels[:, column] == 1
        assert proba[with_label, column].mean() > proba[~with_label, column].mean()
    assert (proba[:, 5] > proba[:, 4]).all()


@pytest.mark.parametrize("name", PROBES)
def test_rows_without_any_difference_predict_by_share(name):
    X, y = np.ones((30, 4)), np.repeat([0, 1, 1], 10)
    if name.startswith("lda"):
        with pytest.raises(InvalidInputError, match="do not differ from their class means"):
            fitted(name, X, y)
        return
    proba = fitted(name, X, y).predict_proba(X)
    assert np.isfinite(proba).all()
    if "centroid" not in name and name not in ("cosine", "simpleshot"):
        assert (proba[:, 1] > proba[:, 0]).all()


@pytest.mark.parametrize("name", PROBES)
def test_sources_of_features(name, few_digits):
    X, y = few_digits
    X = X.astype(np.float32)
    expected = fitted(name, X, y).predict_proba(X)
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(64)])
    for source in (torch.from_numpy(X), frame, X[::-1][::-1], np.asfortranarray(X)):
        np.testing.assert_allclose(
            fitted(name, source, y).predict_proba(source), expected, atol=1e-6
        )
    assert fitted(name, frame, y).feature_names_in_.tolist() == frame.columns.tolist()


@pytest.mark.parametrize("name", PROBES)
def test_the_features_are_not_written_to(name, few_digits):
    X, y = few_digits[0].copy(), few_digits[1].copy()
    fitted(name, X, y).predict_proba(X)
    np.testing.assert_array_equal(X, few_digits[0])
    np.testing.assert_array_equal(y, few_digits[1])


@pytest.mark.parametrize("name", PROBES)
def test_bad_rows_and_single_classes(name, few_digits):
    X, y = few_digits[0].copy(), few_digits[1]
    with pytest.raises(InvalidInputError, match="one class only, 3"):
        fitted(name, X, np.full(300, 3))
    X[17, 4] = np.inf
    with pytest.raises(InvalidInputError, match="rows 17"):
        fitted(name, X, y)


@pytest.mark.parametrize("name", LINEAR)
def test_a_published_head_gives_the_scores(name, few_digits):
    X, y = few_digits
    for labels in (y, y % 2):
        probe = fitted(name, X, labels)
        logits = X @ probe.coef_.T + probe.intercept_
        scores = logits if logits.shape[1] > 1 else logits[:, 0]
        np.testing.assert_allclose(probe.decision_function(X), scores, atol=1e-8)


@pytest.mark.parametrize("name", PROBES)
def test_probes_can_be_pickled(name, few_digits):
    X, y = few_digits
    probe = fitted(name, X, y)
    again = pickle.loads(pickle.dumps(probe))
    np.testing.assert_array_equal(again.predict_proba(X), probe.predict_proba(X))


@pytest.mark.gpu
@pytest.mark.parametrize("name", PROBES)
def test_cuda_is_the_cpu(name, digits):
    X, y = digits
    for labels in (y, np.eye(10, dtype=bool)[y]):
        for n in (50, len(X)):
            cpu, cuda = (
                clone(PROBES[name]).set_params(device=device).fit(X[:n], labels[:n])
                for device in ("cpu", "cuda")
            )
            np.testing.assert_allclose(cuda.predict_proba(X), cpu.predict_proba(X), atol=1e-6)
