"""A package with the interface of cuML that solves with scikit-learn, for machines without CUDA.

Its signatures are those of cuML 26.10, it refuses what cuML refuses, float16 for one, and its
LinearSVC minimises half the squared hinge loss, as cuML's does; tests/probes/test_engines.py holds
the signatures of the real one against it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn import linear_model
from sklearn import svm as sklearn_svm


class Recorded:
    """Remembers the dtypes that `fit` was given."""

    dtypes: list[str] = []  # noqa: RUF012
    loss_scale = 0.5

    def _check(self, *arrays: Any) -> None:
        for array in arrays:
            if array is not None:
                assert array.dtype in (np.float32, np.float64), array.dtype
                self.dtypes.append(str(array.dtype))


class LogisticRegression(Recorded):
    def __init__(
        self,
        *,
        penalty="l2",
        tol=1e-4,
        C=1.0,
        fit_intercept=True,
        class_weight=None,
        max_iter=1000,
        linesearch_max_iter=50,
        l1_ratio=None,
        solver="qn",
        lbfgs_memory=5,
        penalty_normalized=True,
        verbose=False,
        output_type=None,
    ):
        assert (penalty, fit_intercept, class_weight, output_type) == ("l2", True, None, "numpy")
        self._model = linear_model.LogisticRegression(C=C, tol=tol, max_iter=max_iter)

    def fit(self, X, y, sample_weight=None):
        self._check(X, y, sample_weight)
        # cuML's softmax leaves weights out.
        self._model.fit(X, y, sample_weight if len(np.unique(y)) == 2 else None)
        self.coef_, self.intercept_ = self._model.coef_, self._model.intercept_
        self.n_iter_ = self._model.n_iter_
        return self


class LinearSVC(Recorded):
    def __init__(
        self,
        *,
        penalty="l2",
        loss="squared_hinge",
        C=1.0,
        fit_intercept=True,
        penalized_intercept=False,
        class_weight=None,
        tol=1e-4,
        max_iter=1000,
        linesearch_max_iter=100,
        lbfgs_memory=5,
        n_streams=1,
        multi_class="ovr",
        verbose=False,
        output_type=None,
    ):
        assert (penalty, loss, fit_intercept) == ("l2", "squared_hinge", True)
        assert (class_weight, output_type) == (None, "numpy")
        scaling = 1.0 if penalized_intercept else 1e3
        self._model = sklearn_svm.LinearSVC(
            C=C * self.loss_scale,
            tol=tol,
            max_iter=10_000,
            intercept_scaling=scaling,
            dual=False,
        )

    def fit(self, X, y, sample_weight=None):
        self._check(X, y, sample_weight)
        self._model.fit(X, y, sample_weight)
        self.coef_, self.intercept_ = self._model.coef_, self._model.intercept_
        self.n_iter_ = self._model.n_iter_
        return self


class Ridge(Recorded):
    def __init__(
        self,
        alpha=1.0,
        *,
        fit_intercept=True,
        solver="auto",
        tol=1e-4,
        max_iter=None,
        copy_X=True,
        output_type=None,
        verbose=False,
    ):
        # "eig" has no several targets.
        assert (fit_intercept, solver, output_type) == (True, "svd", "numpy")
        self._model = linear_model.Ridge(alpha=alpha, solver="svd")

    def fit(self, X, y, sample_weight=None):
        self._check(X, y, sample_weight)
        self._model.fit(X, y, sample_weight)
        self.coef_, self.intercept_ = self._model.coef_, self._model.intercept_
        return self


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it what ``import cuml`` finds, and CUDA there."""
    package, svm = ModuleType("cuml"), ModuleType("cuml.svm")
    svm.LinearSVC = LinearSVC  # type: ignore[attr-defined]
    package.svm = svm  # type: ignore[attr-defined]
    package.LogisticRegression = LogisticRegression  # type: ignore[attr-defined]
    package.Ridge = Ridge  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cuml", package)
    monkeypatch.setitem(sys.modules, "cuml.svm", svm)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    Recorded.dtypes.clear()
