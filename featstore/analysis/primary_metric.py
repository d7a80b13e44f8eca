"""The first metric of several runs on the same rows, ready for the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from featstore.bootstrap import Statistic
from featstore.predictions import Predictions
from featstore.weighted import class_average_precision, mean_defined


def primary_metric(runs: Sequence[Predictions]) -> tuple[Literal["top1", "mAP"], Statistic]:
    """Prepare the accuracy of several runs, or the mAP of multi-label ones.

    Parameters
    ----------
    runs
        At least one, all on the same rows in the same order.

    Returns
    -------
    metric
        Its name.
    statistic
        Row weights (n, b) to values (m, b), one for each run.

    Examples
    --------
    >>> scores, seen = np.eye(2, dtype=np.float32), np.array([True, True])
    >>> runs = [Predictions(np.array(["a", "b"]), ("cat", "dog"), np.array(truth), scores, seen)
    ...         for truth in ([0, 1], [0, 0])]
    >>> metric, statistic = primary_metric(runs)
    >>> metric, statistic(np.ones((2, 1), np.float32)).ravel()
    ('top1', array([1. , 0.5]))
    """
    if runs[0].multilabel:
        each = [class_average_precision(run) for run in runs]
        return "mAP", lambda weights: np.stack([mean_defined(one(weights)) for one in each])
    right = np.stack([run.predicted == run.truth for run in runs]).astype(np.float32)  # (m, n)

    def accuracy(weights: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(right @ weights / weights.sum(axis=0, dtype=np.float64))

    return "top1", accuracy
