"""ShotHits: which test rows every draw got right, and what follows from that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featstore.bootstrap import bootstrap
from featstore.intervals import percentile
from featstore.metrics import mean_per_class_accuracy
from featstore.subset_scores import SubsetScores
from featstore.validation import check_scores
from featstore.weighted import TOP_K, mean_recall, true_ranks


@dataclass(frozen=True, eq=False)
class ShotHits:
    """One draw's right answers.

    Attributes
    ----------
    top1, top5
        Whether the best class, or one of the five best, is the true one, shape (m,), bool.
    per_class
        Mean over the classes with test rows of the share of their rows that is right.
    """

    top1: NDArray[np.bool_]
    top5: NDArray[np.bool_]
    per_class: float

    @classmethod
    def of(cls, found: SubsetScores, truth: NDArray[np.integer], n_classes: int) -> Self:
        """Compare scores with the truth.

        Parameters
        ----------
        found
            Scores of all test rows, for codes of classes.
        truth
            Class codes (m,).
        n_classes
            Of the target.

        Raises
        ------
        InvalidInputError
            If a score is not finite.
        """
        check_scores(found.scores)
        columns = np.searchsorted(found.classes, truth).clip(max=len(found.classes) - 1)
        seen = found.classes[columns] == truth
        ranks = true_ranks(found.scores, columns)
        predicted = found.classes[found.scores.argmax(axis=1)]
        return cls(
            seen & (ranks == 0),
            seen & (ranks < TOP_K),
            mean_per_class_accuracy(predicted, truth, n_classes),
        )

    def metrics(self, n_classes: int) -> dict[str, float]:
        """Metrics by name; top5 with more than five classes."""
        found = {"top1": float(self.top1.mean())}
        if n_classes > TOP_K:
            found["top5"] = float(self.top5.mean())
        return {**found, "mean_per_class": self.per_class}


def intervals_over_rows(
    shares: Sequence[NDArray[np.floating]],
    truth: NDArray[np.integer],
    n_classes: int,
    *,
    n_boot: int,
    seed: int,
    per_class: Sequence[bool],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % percentile bootstrap intervals over test rows of means over draws.

    A mean over draws is a mean over test rows of the share of draws that got the row right.

    Parameters
    ----------
    shares
        For each statistic that share, shape (m,).
    truth
        Class codes (m,).
    n_classes
        Of the target.
    n_boot, seed
        Resamples, the same for all statistics (0: NaN), and their seed.
    per_class
        For each statistic, whether rows are averaged within their class first.

    Returns
    -------
    low, high
        One for each statistic.
    """
    m = len(truth)
    table = np.asarray(shares, np.float32)
    places = (truth.astype(np.intp), np.arange(m))
    support = csr_array((np.ones(m, np.float32), places), shape=(n_classes, m))
    correct = [csr_array((row, places), shape=(n_classes, m)) for row in table]

    def statistic(weights: NDArray[np.float32]) -> NDArray[np.float64]:
        total = weights.sum(axis=0, dtype=np.float64)
        sizes: Any = support @ weights
        return np.stack(
            [
                mean_recall(correct[i] @ weights, sizes) if by_class else row @ weights / total
                for i, (row, by_class) in enumerate(zip(table, per_class, strict=True))
            ]
        )

    _, samples = bootstrap(statistic, m, n_boot=n_boot, seed=seed)
    return percentile(samples)
