"""Ranking: rows sorted by score, cut where a positive is; what average precision needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Interpolation = Literal["all-points", "11-points"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The retrieved list of one class, from one sort, for any weights of the rows.

    Precision matters only where recall rises, so the list is cut at every distinct score that
    some positive has; rows of equal score enter together, which makes ties order-free.

    Attributes
    ----------
    entering
        Shape (g, n), ones: the rows that enter the list at each of g cuts, best score first.
    positives
        Shape (g, n), ones: the positives among them.

    Examples
    --------
    >>> ranking = Ranking.from_scores(np.array([0.9, 0.8, 0.1]), np.array([True, False, True]))
    >>> weights = np.array([[1, 1], [1, 0], [1, 1]], np.float32)  # as drawn; without row 1
    >>> print(ranking.average_precision(weights).round(4))
    [0.8333 1. ]
    """

    entering: csr_array
    positives: csr_array

    @classmethod
    def from_scores(
        cls, scores: NDArray[np.floating], positive: NDArray[np.bool_], *, repeats: int = 1
    ) -> Ranking:
        """Sort and cut.

        Parameters
        ----------
        scores
            Shape (n,).
        positive
            Shape (n,).
        repeats
            Consecutive scores that share one row: c for a flattened (rows, c) matrix, whose
            decisions are then ranked together while the rows are weighted.
        """
        order = np.argsort(-scores, kind="stable")
        ranked, found = scores[order], np.cumsum(positive[order], dtype=np.intp)
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], len(ranked) > 0))
        cuts = ends[np.diff(found[ends], prepend=0) > 0]
        n = len(scores) // repeats

        def ones(indices: NDArray[np.intp], ends: NDArray[np.intp]) -> csr_array:
            indptr = np.append(0, ends)
            data = np.ones(indptr[-1], np.float32)
            return csr_array((data, indices[: indptr[-1]] // repeats, indptr), shape=(len(ends), n))

        return cls(ones(order, cuts + 1), ones(order[positive[order]], found[cuts]))

    def average_precision(
        self, weights: NDArray[np.float32], *, interpolation: Interpolation = "all-points"
    ) -> NDArray[np.float64]:
        """Area under the precision-recall curve.

        Parameters
        ----------
        weights
            Shape (n, b): how often each row counts, in b weightings.
        interpolation
            ``"all-points"``: sum of precision times the rise in recall, without interpolation,
            as in scikit-learn.  ``"11-points"``: mean over recalls 0, 0.1, ..., 1 of the best
            precision at that recall or above (Everingham et al. 2010, PASCAL VOC 2007).

        Returns
        -------
        average_precision
            Shape (b,); NaN where the positives weigh nothing.
        """
        gained = self.positives @ weights  # (g, b)
        total = gained.sum(axis=0, dtype=np.float64)
        recalled = np.cumsum(gained, axis=0, dtype=np.float64)
        listed = np.cumsum(self.entering @ weights, axis=0, dtype=np.float64)
        # Above the first row that counts both are 0, and so shall the precision be.
        precision = recalled / np.where(listed > 0, listed, 1)
        area: NDArray[np.float64]
        if interpolation == "all-points":
            area = np.einsum("gb,gb->b", gained, precision) / np.where(total > 0, total, np.nan)
        else:
            # recall >= j / 10 without the division: 3 of 10 must not miss 0.3 by rounding.
            best = [
                np.where(10 * recalled >= j * total, precision, 0).max(axis=0, initial=0)
                for j in range(11)
            ]
            area = np.where(total > 0, np.mean(best, axis=0), np.nan)
        return area
