"""CumlEngine: the linear probes' problems solved by RAPIDS cuML, on a CUDA device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.optional import import_optional
from featstore.probes.engines.linear import LinearSolution


@dataclass(frozen=True)
class CumlEngine:
    """`cuml.LogisticRegression`, `cuml.svm.LinearSVC` (both quasi-Newton) and `cuml.Ridge`.

    `tol` and `max_iter` are passed on as they are: they bound what the library itself measures,
    and the certificate says what was reached.

    Row weights are given with mean 1, and their mean to C, which leaves the objective as it is:
    cuML's solver divides the loss by the sum of the weights, its gradient and the penalty by n.

    Attributes
    ----------
    cuml
        The package.
    """

    cuml: Any

    name = "cuml"

    @classmethod
    def load(cls) -> Self:
        """Import cuML.

        Raises
        ------
        MissingDependencyError
            If it is not installed.
        InvalidInputError
            If there is no CUDA device: cuML can be imported without, and fits nothing.
        """
        cuml = import_optional("cuml", extra="gpu")
        import_optional("cuml.svm", extra="gpu")
        if not torch.cuda.is_available():
            raise InvalidInputError(
                "engine='cuml' computes on a CUDA device, and there is none; use engine='torch' "
                "or 'sklearn'"
            )
        return cls(cuml)

    def logistic_model(self, *, C: float, tol: float, max_iter: int) -> Any:
        """Return the estimator behind `logistic`."""
        return self.cuml.LogisticRegression(
            penalty="l2",
            C=C,
            tol=tol,
            max_iter=max_iter,
            fit_intercept=True,
            class_weight=None,
            output_type="numpy",
        )

    def svm_model(
        self, *, C: float, tol: float, max_iter: int, intercept_scaling: float | None
    ) -> Any:
        """Return the estimator behind `svm`."""
        if intercept_scaling not in (None, 1.0):
            raise InvalidInputError(
                "engine='cuml' knows a free intercept (intercept_scaling=None) and one that is "
                f"penalised like the weights (1), got {intercept_scaling}; use engine='torch'"
            )
        return self.cuml.svm.LinearSVC(
            penalty="l2",
            loss="squared_hinge",
            C=C,
            tol=tol,
            max_iter=max_iter,
            fit_intercept=True,
            penalized_intercept=intercept_scaling is not None,
            class_weight=None,
            output_type="numpy",
        )

    def ridge_model(self, *, alpha: float) -> Any:
        """Return the estimator behind `ridge`."""
        return self.cuml.Ridge(alpha=alpha, fit_intercept=True, solver="svd", output_type="numpy")

    @cached_property
    def svm_loss_scale(self) -> float:
        """What `svm_model` multiplies the squared hinge loss by: 1, or 1/2.

        Releases up to 26.08 follow the gradient of half the loss (``glm_svm.cuh``), so that their C
        is twice scikit-learn's.  Rather than by their numbers, releases are told apart by a
        problem of two rows at ±1, whose weight is 4C / (1 + 4C) for the whole loss.
        """
        X = np.asarray([[-1.0], [1.0]], dtype=np.float32)
        model = self.svm_model(C=1.0, tol=1e-6, max_iter=1000, intercept_scaling=None)
        weight = _solution(model.fit(X, np.asarray([0, 1], dtype=np.float32)), 1).coef.item()
        return min((1.0, 0.5), key=lambda scale: abs(weight - 4 * scale / (1 + 4 * scale)))

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
        """Solve by L-BFGS.

        Raises
        ------
        InvalidInputError
            If rows have weights and there are more than two classes: cuML's softmax leaves weights
            out.
        """
        if sample_weight is not None and codes.max() > 1:
            raise InvalidInputError(
                "engine='cuml': LogisticRegression ignores the weights of rows and classes where "
                "there are more than two classes; use engine='torch' or 'sklearn'"
            )
        mean, weights = _with_mean_1(sample_weight, X)
        model = self.logistic_model(C=C * mean, tol=tol, max_iter=max_iter)
        model.fit(X, codes.astype(X.dtype), sample_weight=weights)
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
        """Solve by L-BFGS."""
        mean, weights = _with_mean_1(sample_weight, X)
        model = self.svm_model(
            C=C * mean / self.svm_loss_scale,
            tol=tol,
            max_iter=max_iter,
            intercept_scaling=intercept_scaling,
        )
        model.fit(X, positive.astype(X.dtype), sample_weight=weights)
        return _solution(model, int(np.max(model.n_iter_)))

    def ridge(
        self, X: NDArray[np.floating], Y: NDArray[np.float64], *, alpha: float
    ) -> LinearSolution:
        """Solve by an SVD."""
        model = self.ridge_model(alpha=alpha)
        return _solution(model.fit(X, Y.astype(X.dtype)), 1)


def _with_mean_1(
    weights: NDArray[np.float64] | None, X: NDArray[np.floating]
) -> tuple[float, NDArray[np.floating] | None]:
    """Mean of the weights, and they divided by it, in the dtype of X."""
    if weights is None:
        return 1.0, None
    mean = float(weights.mean())
    return mean, (weights / mean).astype(X.dtype)


def _solution(model: Any, n_iter: int) -> LinearSolution:
    coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    return LinearSolution(coef, np.atleast_1d(np.asarray(model.intercept_, np.float64)), n_iter)
