"""ConfidentJoint: how given labels and confident predictions go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.reliability import check_probabilities
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions

#: Probabilities are float32: one that equals its threshold but for rounding reaches it.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class ConfidentJoint:
    """Counts of rows by their label and the class that they confidently belong to.

    Attributes
    ----------
    classes
        Names, length c.
    thresholds
        Mean probability of each class over the rows that are labelled so, shape (c,); NaN for a
        class without rows.
    confident
        Class of the largest of a row's probabilities that reach their thresholds, shape (n,); -1
        where none does.
    counts
        Rows labelled i that confidently belong to j, shape (c, c).
    support
        Rows labelled i, shape (c,).
    """

    classes: tuple[str, ...]
    thresholds: NDArray[np.float64]
    confident: NDArray[np.intp]
    counts: NDArray[np.intp]
    support: NDArray[np.intp]

    @classmethod
    def of(cls, predictions: Predictions) -> Self:
        r"""Count confident rows.

        Row i labelled :math:`y` counts for

        .. math:: j = argmax_{k: p_{ik} \ge t_k} p_{ik}, \quad t_k = mean_{i: y_i = k} p_{ik}

        The threshold of a class is what the probe says of it on average where it is the label, so a
        class that the probe is never sure of is held to no higher standard than that.

        Parameters
        ----------
        predictions
            Out-of-sample probabilities: of rows that the probe was not fitted to.

        Raises
        ------
        InvalidInputError
            If the run is multi-label, or scores are not probabilities.

        References
        ----------
        Northcutt, Jiang & Chuang (2021), Confident learning: estimating uncertainty in dataset
        labels, JAIR 70, equations 1 and 2.

        Examples
        --------
        >>> scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.9, 0.1]], np.float32)
        >>> run = Predictions(np.array(list("abcd")), ("cat", "dog"), np.array([0, 0, 1, 1]),
        ...                   scores, np.array([True, True]))
        >>> joint = ConfidentJoint.of(run)
        >>> joint.thresholds.round(2).tolist(), joint.confident.tolist(), joint.counts.tolist()
        ([0.85, 0.5], [0, -1, 1, 0], [[1, 0], [1, 1]])
        """
        if predictions.multilabel:
            raise InvalidInputError(
                "confident learning compares one label per row with one prediction; this run is "
                "multi-label"
            )
        check_probabilities(predictions)
        scores, truth = predictions.scores, predictions.truth.astype(np.intp)
        c = scores.shape[1]
        support = np.bincount(truth, minlength=c)
        own = np.take_along_axis(scores, truth[:, None], axis=1)[:, 0].astype(np.float64)
        sums = np.bincount(truth, weights=own, minlength=c)
        thresholds = np.divide(sums, support, out=np.full(c, np.nan), where=support > 0)
        # Nothing reaches the threshold of a class that is no row's label.
        reached = scores >= np.where(support > 0, thresholds - _ROUNDING, np.inf)
        confident = np.where(reached, scores, -1).argmax(axis=1)
        confident[~reached.any(axis=1)] = -1
        counts = np.zeros((c, c), np.intp)
        sure = confident >= 0
        np.add.at(counts, (truth[sure], confident[sure]), 1)
        return cls(predictions.classes, thresholds, confident, counts, support)

    @property
    def joint(self) -> NDArray[np.float64]:
        """Estimated shares of all rows labelled i whose class is j, shape (c, c); they sum to 1.

        Rows of the counts are scaled to the classes' numbers of labels (Northcutt et al. 2021,
        equation 3); a class none of whose rows is confident is taken to be right.
        """
        totals = self.counts.sum(axis=1)
        shares = np.where(totals[:, None] > 0, self.counts, np.diag(np.ones_like(totals)))
        shares = shares / shares.sum(axis=1, keepdims=True)
        joint: NDArray[np.float64] = shares * (self.support / self.support.sum())[:, None]
        return joint

    @property
    def noise_rate(self) -> float:
        """Estimated share of rows with a wrong label."""
        return float(1 - np.trace(self.joint))

    def pairs(self) -> pd.DataFrame:
        """Pairs of different classes that labels and confident predictions disagree on.

        Columns label, suggested, n (rows), share (of the rows with the label); most rows first.
        """
        labels, others = np.nonzero(self.counts - np.diag(np.diag(self.counts)))
        n = self.counts[labels, others]
        frame = pd.DataFrame(
            {
                "label": [self.classes[code] for code in labels],
                "suggested": [self.classes[code] for code in others],
                "n": n,
                "share": n / self.support[labels],
            }
        )
        return frame.sort_values("n", ascending=False, kind="stable", ignore_index=True)
