"""Estimator: the protocol that every probe fulfils."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Estimator(Protocol):
    """A probe: a scikit-learn classifier that can also try many values of one parameter."""

    #: The hyper-parameter that is chosen on validation rows.
    parameter: str

    #: Its type, ``float`` or ``int``.
    parameter_type: type[float]

    classes_: NDArray[Any]

    def set_params(self, **parameters: Any) -> Any: ...

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Any: ...

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.floating]: ...

    def sweep(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        queries: NDArray[Any],
        values: Sequence[float],
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Fit once per value, sharing all work; yield each value with the queries' scores."""
        ...
