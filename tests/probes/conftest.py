"""Features and an independent statement of logistic regression, for the tests of probes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController

Labelled = tuple[NDArray[np.float64], NDArray[np.int64]]


@pytest.fixture(scope="module")
def pools() -> ThreadpoolController:
    """Return the thread pools of all libraries; to find them takes 10 ms."""
    return ThreadpoolController()


@pytest.fixture(autouse=True)
def one_thread(pools: ThreadpoolController) -> Iterator[None]:
    """Small products gain nothing from threads, and test workers run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pools.limit(limits=1):
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> Labelled:
    """1,797 real images of digits: 64 pixels in [0, 1], of which three are constant."""
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@pytest.fixture(scope="session")
def few_digits(digits: Labelled) -> Labelled:
    """300 of them, for many fits."""
    X, y = digits
    return X[:300], y[:300]


class Oracle:
    """scikit-learn's objective over C n, in NumPy, and its optimum by SciPy or scikit-learn.

    y holds labels (n,), or an indicator (n, c) for independent sigmoids.
    """

    def __init__(self, X, y, C):
        self.X, self.y, self.C = np.asarray(X, np.float64), np.asarray(y), C
        self.ridge = 1 / (C * len(self.X))

    def _columns(self, k):
        """Targets as columns (n, k), one-hot unless sigmoids."""
        if self.y.ndim == 2:
            return self.y.astype(float)
        codes = np.unique(self.y, return_inverse=True)[1]
        return codes[:, None].astype(float) if k == 1 else np.eye(k)[codes]

    def value(self, coef, intercept):
        Z, Y = self.X @ coef.T + intercept, self._columns(len(coef))
        sigmoids = self.y.ndim == 2 or len(coef) == 1
        log_partition = np.logaddexp(0, Z).sum(axis=1) if sigmoids else logsumexp(Z, axis=1)
        return (log_partition - (Y * Z).sum(axis=1)).mean() + self.ridge / 2 * (coef**2).sum()

    def gradient(self, coef, intercept):
        """In the weights and the intercepts, side by side, (k, d + 1)."""
        Z, Y = self.X @ coef.T + intercept, self._columns(len(coef))
        sigmoids = self.y.ndim == 2 or len(coef) == 1
        P = expit(Z) if sigmoids else np.exp(Z - logsumexp(Z, axis=1, keepdims=True))
        R = (P - Y) / len(Z)
        return np.c_[R.T @ self.X + self.ridge * coef, R.sum(axis=0)]

    @cached_property
    def model(self):
        """scikit-learn's tight float64 fit."""
        newton = LogisticRegression(C=self.C, solver="newton-cholesky", tol=1e-12, max_iter=1000)
        return newton.fit(self.X, self.y)

    @cached_property
    def minimum(self):
        if self.y.ndim == 1:
            return self.value(self.model.coef_, self.model.intercept_)
        shape = (self.y.shape[1], self.X.shape[1] + 1)

        def value_and_gradient(theta):
            coef, intercept = np.split(theta.reshape(shape), [-1], axis=1)
            found = self.value(coef, intercept[:, 0]), self.gradient(coef, intercept[:, 0])
            return found[0], found[1].ravel()

        options = {"maxiter": 10_000, "maxfun": 100_000, "ftol": 1e-16, "gtol": 1e-12}
        start = np.zeros(shape).ravel()
        return minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options).fun

    def suboptimality(self, probe):
        """(f - min f) / min f of a fitted probe."""
        return (self.value(probe.coef_, probe.intercept_) - self.minimum) / self.minimum


@pytest.fixture(scope="session")
def oracle() -> type[Oracle]:
    """Return the oracle's class: ``oracle(X, y, C).minimum``."""
    return Oracle
