"""Link: how the scores of a linear head become probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax


@dataclass(frozen=True)
class Link:
    """A function of scores (n, k).

    Attributes
    ----------
    kind
        ``"softmax"``: one class per row; with a single score, which is positive for the second of
        two classes, its logistic function.  ``"sigmoid"``: a logistic function per label.
    slope
        What scores are multiplied by first: 1 for logits.
    """

    kind: Literal["softmax", "sigmoid"]
    slope: float = 1.0

    def probabilities(self, scores: NDArray[np.floating]) -> NDArray[np.float32]:
        """Turn scores (n, k) into probabilities (n, c), where c = 2 for one score of two classes.

        Examples
        --------
        >>> Link("softmax", 2.0).probabilities(np.array([[0.0], [0.5]])).round(2).tolist()
        [[0.5, 0.5], [0.27000001072883606, 0.7300000190734863]]
        """
        logits = scores.astype(np.float64) * self.slope
        if self.kind == "sigmoid":
            found = expit(logits)
        elif logits.shape[1] == 1:
            found = expit(np.concatenate([-logits, logits], axis=1))
        else:
            found = softmax(logits, axis=1)
        return np.asarray(found, np.float32)
