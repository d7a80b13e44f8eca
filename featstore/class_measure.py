"""The measure of each class as a function of row weights, for runs of either kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featstore.bootstrap import Statistic
from featstore.decisions import Decisions, Outcomes, decided
from featstore.validation import check_predictions
from featstore.weighted import class_average_precision


@dataclass(frozen=True, eq=False)
class ClassMeasure:
    """How well each class is recognised, for any weights of the test rows.

    Attributes
    ----------
    name
        ``"accuracy"``, or ``"average_precision"`` of a multi-label run.
    support
        Test rows of each class, or its positives; shape (c,).
    of
        Row weights (n, b) to values (c, b); NaN where a class has no weight.
    """

    name: Literal["accuracy", "average_precision"]
    support: NDArray[np.intp]
    of: Statistic


def class_measure(outcomes: Outcomes) -> ClassMeasure:
    """Prepare the accuracy of each class, or the average precision if it is multi-label.

    Parameters
    ----------
    outcomes
        Of one run.

    Raises
    ------
    InvalidInputError
        If the run has no test rows, or impossible scores or labels.

    Examples
    --------
    >>> ids, truth = np.array(["a", "b", "c"]), np.array([0, 1, 1])
    >>> run = Decisions(ids, ("cat", "dog"), truth, np.array([0, 0, 1]), np.ones(2, bool))
    >>> print(class_measure(run).of(np.array([[1, 1], [1, 3], [1, 1]], np.float32)))
    [[1.   1.  ]
     [0.5  0.25]]
    """
    if not isinstance(outcomes, Decisions) and outcomes.multilabel:
        check_predictions(outcomes)
        positives = outcomes.truth.sum(axis=0)
        return ClassMeasure("average_precision", positives, class_average_precision(outcomes))
    run = decided(outcomes)
    n, c = len(run), run.n_classes
    rows, right = np.arange(n), np.flatnonzero(run.right)
    rows_of, right_of = (
        csr_array((np.ones(len(of), np.float32), (run.truth[of], of)), shape=(c, n))
        for of in (rows, right)
    )

    def accuracy(weights: NDArray[np.float32]) -> NDArray[np.float64]:
        whole = np.asarray(rows_of @ weights, np.float64)
        return np.asarray(right_of @ weights) / np.where(whole > 0, whole, np.nan)

    return ClassMeasure("accuracy", np.bincount(run.truth, minlength=c), accuracy)
