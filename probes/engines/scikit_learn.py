"""SklearnEngine: the linear probes' problems solved by scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC

from featstore.errors import InvalidInputError
from featstore.probes.engines.linear import LinearSolution


class SklearnEngine:
    """`LogisticRegression` (L-BFGS), `LinearSVC` (liblinear) and `Ridge`.

    `tol` and `max_iter` are passed on as they are: they bound what the library itself measures,
    and the certificate says what was reached.
    """

    name = "sklearn"

    def logistic(
        self,
        X: NDArray[np.floating],
        codes: NDArray[np.int64],
        *,
        C: float,
        tol: float,
        max_iter: int,
        sample_weight: NDArray[np.float64] | None = None,
    ) -> LinearSolution:
        """Solve by L-BFGS."""
        model = LogisticRegression(C=C, tol=tol, max_iter=max_iter, solver="lbfgs")
        with _unwarned():
            model.fit(X, codes, sample_weight=sample_weight)
        return _solution(model, int(np.max(model.n_iter_)))

    def svm(
        self,
        X: NDArray[np.floating],
        positive: NDArray[np.bool_],
        *,
        C: float,
        tol: float,
        max_iter: int,
        sample_weight: NDArray[np.float64],
        intercept_scaling: float | None,
    ) -> LinearSolution:
        """Solve by liblinear, in float64."""
        if intercept_scaling is None:
            raise InvalidInputError(
                "engine='sklearn': LinearSVC penalises its intercept; set intercept_scaling=1 (or "
                "larger), or use engine='torch', whose intercept is free"
            )
        model = LinearSVC(
            C=C,
            tol=tol,
            max_iter=max_iter,
            loss="squared_hinge",
            dual="auto",
            intercept_scaling=intercept_scaling,
            random_state=0,
        )
        with _unwarned():
            model.fit(X, positive, sample_weight=sample_weight)
        return _solution(model, int(model.n_iter_))

    def ridge(
        self, X: NDArray[np.floating], Y: NDArray[np.float64], *, alpha: float
    ) -> LinearSolution:
        """Solve by an SVD."""
        return _solution(Ridge(alpha=alpha, solver="svd").fit(X, Y), 1)


@contextmanager
def _unwarned() -> Iterator[None]:
    # The certificate says whether it converged, and the probe warns.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _solution(model: Any, n_iter: int) -> LinearSolution:
    coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    return LinearSolution(coef, np.atleast_1d(np.asarray(model.intercept_, np.float64)), n_iter)
