"""The metrics of a run as functions of row weights, ready for the bootstrap.

Every single-label metric is a function of three counts per class (rows of it, rows called it, rows
of it called it); with weights the counts become sparse products, one for a block of resamples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featstore.bootstrap import Statistic
from featstore.predictions import Predictions
from featstore.ranking import Interpolation, Ranking
from featstore.thresholds import HALF, Thresholds

TOP_K = 5

_RANK_BLOCK_VALUES = 1 << 22


def mean_recall(correct: NDArray[np.number], support: NDArray[np.number]) -> NDArray[np.float64]:
    """Mean over classes of the share of their rows that is right.

    Parameters
    ----------
    correct, support
        Weight of each class's right rows and of all its rows, shape (c, ...).

    Returns
    -------
    recall
        Shape (...); classes without rows are left out, NaN if no class has any.

    Examples
    --------
    >>> print(mean_recall(np.array([1, 3, 0]), np.array([2, 3, 0])))
    0.75
    """
    return _mean_present(correct, support)


def mean_f1(
    correct: NDArray[np.number], support: NDArray[np.number], called: NDArray[np.number]
) -> NDArray[np.float64]:
    """Mean over classes of F1 = 2 correct / (support + called).

    Parameters
    ----------
    correct, support, called
        Weight of the rows of each class that were called it, of all its rows, and of all rows
        called it; shape (c, ...).

    Returns
    -------
    f1
        Shape (...); classes neither true nor called anywhere are left out.

    Examples
    --------
    >>> print(mean_f1(np.array([1, 3, 0]), np.array([2, 3, 0]), np.array([2, 3, 0])))
    0.75
    """
    return _mean_present(2 * correct, support + called)


def _mean_present(part: NDArray[np.number], whole: NDArray[np.number]) -> NDArray[np.float64]:
    present = whole > 0
    shares = np.divide(part, whole, out=np.zeros(whole.shape), where=present)
    counted = present.sum(axis=0)
    mean: NDArray[np.float64] = np.full(counted.shape, np.nan)
    np.divide(shares.sum(axis=0), counted, out=mean, where=counted > 0)
    return mean


def true_ranks(scores: NDArray[np.floating], truth: NDArray[np.integer]) -> NDArray[np.intp]:
    """Place of the true class when the classes are sorted by score, 0 for the best.

    Equal scores rank by class code, lower first, so rank 0 is `numpy.argmax`.

    Parameters
    ----------
    scores
        Shape (n, c).
    truth
        Class codes, shape (n,).

    Returns
    -------
    ranks
        Shape (n,), in [0, c).

    Examples
    --------
    >>> print(true_ranks(np.array([[0.2, 0.4, 0.4]] * 3), np.array([0, 1, 2])))
    [2 0 1]
    """
    n, c = scores.shape
    ranks = np.empty(n, np.intp)
    codes = np.arange(c)
    block = max(1, _RANK_BLOCK_VALUES // max(c, 1))
    for start in range(0, n, block):
        rows, true = scores[start : start + block], truth[start : start + block, None]
        own = np.take_along_axis(rows, true, axis=1)
        before = rows > own
        before |= (rows == own) & (codes < true)
        ranks[start : start + block] = np.count_nonzero(before, axis=1)
    return ranks


def single_label(predictions: Predictions) -> tuple[tuple[str, ...], Statistic]:
    """Prepare top-1, top-5 (with more than five classes), mean per class and macro F1.

    A class not seen in training is never among the top k, whatever its code.

    Returns
    -------
    names
        Of the m metrics.
    statistic
        Row weights (n, b) to values (m, b).
    """
    n, c = predictions.scores.shape
    truth, called = predictions.truth.astype(np.intp), predictions.predicted
    hits = np.flatnonzero(called == truth)
    support_of = indicator(truth, np.arange(n), shape=(c, n))
    called_of = indicator(called, np.arange(n), shape=(c, n))
    correct_of = indicator(truth[hits], hits, shape=(c, n))
    names = ["top1", "mean_per_class", "macro_f1"]
    if c > TOP_K:
        names.insert(1, f"top{TOP_K}")
        ranks = true_ranks(predictions.scores, truth)
        near = np.flatnonzero((ranks < TOP_K) & predictions.seen[truth])
        near_of = indicator(np.zeros_like(near), near, shape=(1, n))

    def statistic(weights: NDArray[np.float32]) -> NDArray[np.float64]:
        support, called = support_of @ weights, called_of @ weights  # (c, b)
        correct, total = correct_of @ weights, weights.sum(axis=0, dtype=np.float64)
        values = [
            correct.sum(axis=0, dtype=np.float64) / total,
            mean_recall(correct, support),
            mean_f1(correct, support, called),
        ]
        if c > TOP_K:
            values.insert(1, (near_of @ weights)[0] / total)
        return np.stack(values)

    return tuple(names), statistic


def multi_label(
    predictions: Predictions, names: Sequence[str], *, thresholds: Thresholds | None = None
) -> Statistic:
    """Prepare metrics of multi-label predictions.

    Parameters
    ----------
    predictions
        Of one run.
    names
        mAP; mAP_11, with PASCAL VOC 2007's interpolation; micro_mAP; macro_f1 and micro_f1 at 0.5;
        macro_f1_tuned, with a threshold per class, and micro_f1_tuned, with a common one.
    thresholds
        For the tuned ones.

    Returns
    -------
    statistic
        Row weights (n, b) to values (m, b).
    """
    parts = [_multi_label_part(name, predictions, thresholds) for name in names]
    return lambda weights: np.stack([part(weights) for part in parts])


def _multi_label_part(
    name: str, predictions: Predictions, thresholds: Thresholds | None
) -> Statistic:
    """Prepare one metric: row weights (n, b) to values (b,)."""
    scores, truth = predictions.scores, predictions.truth.astype(bool)
    if name in ("mAP", "mAP_11"):
        points: Interpolation = "all-points" if name == "mAP" else "11-points"
        per_class = class_average_precision(predictions, interpolation=points)
        return lambda weights: mean_defined(per_class(weights))
    if name == "micro_mAP":
        ranking = Ranking.from_scores(scores.ravel(), truth.ravel(), repeats=predictions.n_classes)
        return ranking.average_precision
    average, _, tuned = name.partition("_f1")
    if tuned and thresholds is not None:
        calls = _Calls(thresholds.called(scores, common=average == "micro"), truth)
    else:
        calls = _Calls(scores >= HALF, truth)
    return calls.macro_f1 if average == "macro" else calls.micro_f1


class _Calls:
    """Which classes each row was called, and which of them rightly, for any weights of the rows."""

    def __init__(self, called: NDArray[np.bool_], truth: NDArray[np.bool_]) -> None:
        self._tables = [
            csr_array(table.T, dtype=np.float32) for table in (truth & called, truth, called)
        ]

    def macro_f1(self, weights: NDArray[np.float32]) -> NDArray[np.float64]:
        return mean_f1(*self._counts(weights))

    def micro_f1(self, weights: NDArray[np.float32]) -> NDArray[np.float64]:
        counts = self._counts(weights)
        return mean_f1(*(count.sum(axis=0, dtype=np.float64)[None] for count in counts))

    def _counts(self, weights: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return [np.asarray(table @ weights) for table in self._tables]  # (c, b) each


def class_average_precision(
    predictions: Predictions, *, interpolation: Interpolation = "all-points"
) -> Statistic:
    """Prepare the average precision of each class: row weights (n, b) to values (c, b)."""
    rankings = [
        Ranking.from_scores(scores, positive)
        for scores, positive in zip(
            predictions.scores.T, predictions.truth.T.astype(bool), strict=True
        )
    ]

    def statistic(weights: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.stack(
            [
                ranking.average_precision(weights, interpolation=interpolation)
                for ranking in rankings
            ]
        )

    return statistic


def mean_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the first axis without NaN; NaN where nothing is defined.

    Examples
    --------
    >>> print(mean_defined(np.array([0.25, np.nan, 0.75])))
    0.5
    """
    return _mean_present(np.nan_to_num(values), (~np.isnan(values)).astype(np.float64))


def indicator(
    rows: NDArray[np.integer], columns: NDArray[np.integer], *, shape: tuple[int, int]
) -> csr_array:
    """Ones at the given places, to sum weights by.

    Examples
    --------
    >>> right = indicator(np.array([0, 1, 1]), np.arange(3), shape=(2, 3))
    >>> print(right @ np.ones((3, 1), np.float32))
    [[1.]
     [2.]]
    """
    ones = np.ones(len(rows), np.float32)
    return csr_array((ones, (rows, columns)), shape=shape)
