"""Thresholds: from which probability on a class is called present."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: What is taken where nothing was chosen.
HALF = 0.5


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Thresholds that maximise F1 on validation rows, for the rows of a run.

    Attributes
    ----------
    per_class
        Shape (s, c), float32: one threshold per class, the best for the F1 of each, and so for
        macro-F1.  s is 1, or the number of outer folds whose rows have thresholds of their own.
    common
        Shape (s,), float32: one for all classes, the best for micro-F1.
    source
        Shape (n,): which of the s sets each row is called by.
    """

    per_class: NDArray[np.float32]
    common: NDArray[np.float32]
    source: NDArray[np.integer]

    @classmethod
    def choose(
        cls, scores: NDArray[np.floating], truth: NDArray[np.bool_], *, n: int
    ) -> Thresholds:
        """Maximise F1.

        Parameters
        ----------
        scores, truth
            Of validation rows, shape (m, c).
        n
            Rows that the thresholds will be applied to: others than these.

        Returns
        -------
        thresholds
            A class without positives takes the common one; without any positives all are 0.5.

        Examples
        --------
        >>> scores = np.array([[0.9, 0.2], [0.4, 0.1], [0.3, 0.05]], np.float32)
        >>> truth = np.array([[True, True], [True, False], [False, False]])
        >>> Thresholds.choose(scores, truth, n=5).per_class.round(2).tolist()
        [[0.4000000059604645, 0.20000000298023224]]
        """
        scores = scores.astype(np.float32, copy=False)
        common = f1_threshold(scores.ravel(), truth.ravel())
        common = HALF if math.isnan(common) else common
        found = [f1_threshold(*column) for column in zip(scores.T, truth.T, strict=True)]
        each = np.asarray(found, np.float32)
        return cls(
            np.where(np.isnan(each), np.float32(common), each)[None],
            np.asarray([common], np.float32),
            np.zeros(n, np.int32),
        )

    @classmethod
    def joined(cls, parts: Sequence[Thresholds], source: NDArray[np.integer]) -> Thresholds:
        """Put thresholds of several validations side by side; `source` names each row's."""
        return cls(
            np.concatenate([part.per_class for part in parts]),
            np.concatenate([part.common for part in parts]),
            source.astype(np.int32),
        )

    def called(self, scores: NDArray[np.floating], *, common: bool = False) -> NDArray[np.bool_]:
        """Whether each class is called present, shape (n, c)."""
        least = self.common[self.source, None] if common else self.per_class[self.source]
        return np.asarray(scores >= least)


def f1_threshold(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Lowest score to call positive such that F1 is largest; of equal F1 the highest such score.

    Parameters
    ----------
    scores, positive
        Shape (n,).

    Returns
    -------
    threshold
        One of the scores; NaN without positives.

    Examples
    --------
    >>> f1_threshold(np.array([0.9, 0.6, 0.4, 0.1]), np.array([True, False, True, False]))
    0.4
    """
    total = np.count_nonzero(positive)
    if not total:
        return math.nan
    order = np.argsort(-scores, kind="stable")
    ranked, found = scores[order], np.cumsum(positive[order])
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    f1 = 2 * found[ends] / (ends + 1 + total)
    return float(ranked[ends[f1.argmax()]])
