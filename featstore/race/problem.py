"""Problem: features, labels and one C, with scikit-learn's objective in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

_BLOCK_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Problem:
    """What everybody minimises: mean cross-entropy + ‖W‖² / (2 C n), intercept free.

    Attributes
    ----------
    name
        Of the data.
    X
        Shape (n, d), float16 or float32.
    y
        Codes of the classes, shape (n,), from 0 to k - 1.
    C
        As scikit-learn means it.

    Examples
    --------
    >>> X, y = np.ones((4, 1), np.float32), np.array([0, 1, 2, 0])
    >>> round(Problem("ones", X, y, 1.0).objective(np.zeros((3, 2))), 4)  # log 3
    1.0986
    """

    name: str
    X: NDArray[Any]
    y: NDArray[np.int64]
    C: float

    @property
    def n_logits(self) -> int:
        """Rows of weights: one for each class, and one alone for two classes."""
        n_classes = int(self.y.max()) + 1
        return 1 if n_classes == 2 else n_classes

    def objective(self, theta: NDArray[Any]) -> float:
        """Value at weights and intercepts side by side, shape (n_logits, d + 1)."""
        coef, intercept = theta[:, :-1].astype(np.float64), theta[:, -1].astype(np.float64)
        total = 0.0
        for i in range(0, len(self.X), _BLOCK_ROWS):
            rows = slice(i, i + _BLOCK_ROWS)
            Z, y = self.X[rows].astype(np.float64) @ coef.T + intercept, self.y[rows]
            if len(theta) == 1:  # two classes as a softmax whose first logit is 0
                Z = np.hstack([np.zeros_like(Z), Z])
            total += (logsumexp(Z, axis=1) - Z[np.arange(len(Z)), y]).sum()
        return float((total + (coef**2).sum() / (2 * self.C)) / len(self.X))
