"""Head: the weights of a linear probe, and what its inputs and outputs go through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.link import Link
from featstore.scaling import BlockScaling


@dataclass(frozen=True, eq=False)
class Head:
    """Weights of a linear probe, with the scaling its inputs need.

    Attributes
    ----------
    coef, intercept
        Shape (c, d) and (c,), or (1, d) and (1,) for two classes.
    classes
        Class codes of the rows of `coef`.
    scaling
        What its inputs have to go through first.
    link
        How its scores become probabilities; None in runs of earlier versions.
    """

    coef: NDArray[np.floating]
    intercept: NDArray[np.floating]
    classes: NDArray[np.integer]
    scaling: BlockScaling
    link: Link | None = None

    def probabilities(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """Probabilities of the head's classes.

        Parameters
        ----------
        X
            Features as they are stored, shape (n, d).

        Returns
        -------
        proba
            Shape (n, len(classes)), in their order; computed in float64.

        Raises
        ------
        InvalidInputError
            If X is not as wide as the features of the head, or its link is not known.

        Examples
        --------
        >>> from featstore.scaling import BlockScaling
        >>> as_is = BlockScaling("none", (2,), np.zeros(2, np.float32), np.ones(2, np.float32))
        >>> head = Head(np.array([[1.0, -1.0]]), np.zeros(1), np.array([0, 1]), as_is,
        ...             Link("softmax"))
        >>> head.probabilities(np.array([[3.0, 3.0]])).tolist()
        [[0.5, 0.5]]
        """
        if self.link is None:
            raise InvalidInputError(
                "the head comes from an earlier version of featstore, which did not keep how its "
                "scores become probabilities; run the probe again"
            )
        d = self.coef.shape[1]
        if X.ndim != 2 or X.shape[1] != d:
            raise InvalidInputError(f"the head takes features (n, {d}), got shape {X.shape}")
        rows = self.scaling.transform(X).astype(np.float64)
        return self.link.probabilities(rows @ self.coef.T + self.intercept)
