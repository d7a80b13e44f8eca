"""LinearEngine: what a library must solve to be an engine of the linear probes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError

#: ``"torch"`` is the probe's own solver.
EngineName = Literal["torch", "sklearn", "cuml"]


@dataclass(frozen=True, eq=False)
class LinearSolution:
    """Weights as an engine found them.

    Attributes
    ----------
    coef, intercept
        Shapes (k, d) and (k,), float64.
    n_iter
        Iterations, 1 for a closed form.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    n_iter: int


class LinearEngine(Protocol):
    """Solves the problems of the linear probes; X is (n, d), finite, float32 or float64.

    Every problem has both sides, or all of its classes, among its rows.
    """

    @property
    def name(self) -> str:
        """As the user gives it."""
        ...

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
        """Minimise C Σ loss + ‖W‖² / 2 over a softmax of c >= 3 codes, or one logit of two."""
        ...

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
        """Minimise C Σ weight max(0, 1 ∓ z)² + ‖w‖² / 2; penalise the intercept if scaled.

        Raises
        ------
        InvalidInputError
            If the library cannot scale the intercept like this.
        """
        ...

    def ridge(
        self, X: NDArray[np.floating], Y: NDArray[np.float64], *, alpha: float
    ) -> LinearSolution:
        """Minimise ‖Y - X Wᵀ - b‖² + alpha ‖W‖², Y of shape (n, k), the intercept free."""
        ...


def check_engine(name: str) -> None:
    """Refuse an engine that linear probes do not have.

    Raises
    ------
    InvalidInputError
        Naming those that they have.
    """
    known = get_args(EngineName)
    if name not in known:
        raise InvalidInputError(
            f"engine must be one of {', '.join(map(repr, known))}, got {name!r}"
        )


def linear_engine(name: EngineName) -> LinearEngine | None:
    """Load an engine; None for ``"torch"``.

    Raises
    ------
    InvalidInputError
        If the name is another, or CUDA is needed and missing.
    MissingDependencyError
        If its library is not installed.

    Examples
    --------
    >>> linear_engine("sklearn").name
    'sklearn'
    """
    check_engine(name)
    if name == "sklearn":
        from featstore.probes.engines.scikit_learn import SklearnEngine

        return SklearnEngine()
    if name == "cuml":
        from featstore.probes.engines.rapids import CumlEngine

        return CumlEngine.load()
    return None
