"""What closed-form probes promise beyond test_robustness.py: scikit-learn's contract, exactness."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from featstore.probes import CentroidProbe, GaussianProbe, LDAProbe, RidgeProbe

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
LINEAR = ["ridge", "ridge-loo", "bigvision", "lda", "lda-auto", "centroid", "dlda"]


def fitted(name, X, y):
    return clone(PROBES[name]).fit(X, y)


@pytest.mark.parametrize("name", PROBES)
def test_contract_of_scikit_learn(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # checks that do not apply are skipped with a warning
        outcomes = check_estimator(PROBES[name], on_skip=None, on_fail=None)
    assert {o["check_name"]: o["exception"] for o in outcomes if o["status"] == "failed"} == {}


@pytest.mark.parametrize("name", ["ridge", "ridge-loo", "lda", "lda-auto"])
def test_float32_products_cost_little(name, digits):
    X, y = digits
    exact, fast = (
        clone(PROBES[name]).set_params(dtype=d).fit(X, y) for d in ("float64", "float32")
    )
    np.testing.assert_allclose(fast.predict_proba(X), exact.predict_proba(X), atol=1e-4)


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
