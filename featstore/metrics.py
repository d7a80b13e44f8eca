"""Metrics: scores and truth to numbers, and to numbers with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.bootstrap import bootstrap, unit_weights
from featstore.errors import InvalidInputError
from featstore.intervals import percentile
from featstore.predictions import Predictions
from featstore.ranking import Interpolation, Ranking
from featstore.suggest import did_you_mean
from featstore.thresholds import Thresholds
from featstore.validation import check_codes, check_decisions, check_predictions, check_scores
from featstore.weighted import (
    mean_defined,
    mean_f1,
    mean_recall,
    multi_label,
    single_label,
    true_ranks,
)

_MULTI_LABEL: tuple[str, ...] = ("mAP", "mAP_11", "micro_mAP", "macro_f1", "micro_f1")


def top_k_accuracy(scores: NDArray[np.floating], truth: NDArray[np.integer], k: int) -> float:
    """Share of rows whose class is among the k best scores.

    Equal scores rank by class code, lower first; with k = 1 this is `numpy.argmax`.

    Parameters
    ----------
    scores
        Shape (n, c).
    truth
        Class codes, shape (n,).
    k
        From 1 to c.

    Raises
    ------
    InvalidInputError
        If there are no rows, a score is not finite, a code is not in [0, c) or k not in [1, c].

    Examples
    --------
    >>> scores = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]])
    >>> top_k_accuracy(scores, np.array([2, 0]), 1), top_k_accuracy(scores, np.array([2, 0]), 2)
    (0.5, 1.0)
    """
    check_scores(scores)
    check_codes(truth, scores.shape[1], n=len(scores))
    if not 1 <= k <= scores.shape[1]:
        raise InvalidInputError(f"k={k} of {scores.shape[1]} classes: k must be from 1 to that")
    return float((true_ranks(scores, truth) < k).mean())


def mean_per_class_accuracy(
    predicted: NDArray[np.integer], truth: NDArray[np.integer], n_classes: int
) -> float:
    """Mean of the accuracies of all classes that have rows (balanced accuracy).

    Parameters
    ----------
    predicted, truth
        Class codes, shape (n,).
    n_classes
        Number of classes c.

    Raises
    ------
    InvalidInputError
        If there are no rows or a code is not in [0, c).

    Examples
    --------
    >>> mean_per_class_accuracy(np.array([0, 0, 1]), np.array([0, 0, 2]), 3)
    0.5
    """
    correct, support, _ = _counts(predicted, truth, n_classes)
    return float(mean_recall(correct, support))


def macro_f1(predicted: NDArray[np.integer], truth: NDArray[np.integer], n_classes: int) -> float:
    """Mean F1 of all classes that are true or predicted somewhere (scikit-learn's definition).

    Parameters
    ----------
    predicted, truth
        Class codes, shape (n,).
    n_classes
        Number of classes c.

    Raises
    ------
    InvalidInputError
        If there are no rows or a code is not in [0, c).

    Examples
    --------
    >>> round(macro_f1(np.array([0, 0, 1]), np.array([0, 0, 2]), 3), 4)
    0.3333
    """
    return float(mean_f1(*_counts(predicted, truth, n_classes)))


def average_precision(
    scores: NDArray[np.floating],
    truth: NDArray[np.bool_],
    *,
    interpolation: Interpolation = "all-points",
) -> NDArray[np.float64]:
    """Average precision of each class.

    Parameters
    ----------
    scores, truth
        Shape (n, c): one score per decision, and whether the class is present.
    interpolation
        ``"all-points"`` as in scikit-learn, or ``"11-points"`` as in PASCAL VOC 2007
        (Everingham et al. 2010; Kornblith et al. 2019 report it).

    Returns
    -------
    average_precision
        Shape (c,); NaN for a class without positives.

    Raises
    ------
    InvalidInputError
        If there are no rows, a score is not finite or the shapes differ.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.3]])
    >>> truth = np.array([[True, False], [False, False], [True, False]])
    >>> print(average_precision(scores, truth).round(4))
    [0.8333    nan]
    """
    check_decisions(scores, truth)
    one = unit_weights(len(scores))
    areas = [
        Ranking.from_scores(column, positive).average_precision(one, interpolation=interpolation)
        for column, positive in zip(scores.T, truth.T, strict=True)
    ]
    return np.concatenate([np.empty(0), *areas])


def mean_average_precision(
    scores: NDArray[np.floating],
    truth: NDArray[np.bool_],
    *,
    interpolation: Interpolation = "all-points",
) -> float:
    """Mean of `average_precision` over the classes that have positives; NaN if none has.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.8, 0.2]])
    >>> mean_average_precision(scores, np.array([[True, False], [False, True]]))
    1.0
    """
    return float(mean_defined(average_precision(scores, truth, interpolation=interpolation)))


def micro_average_precision(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Average precision of all n × c decisions in one list; NaN without positives.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.8, 0.2]])
    >>> micro_average_precision(scores, np.array([[True, False], [False, True]]))
    0.8333...
    """
    check_decisions(scores, truth)
    return float(average_precision(scores.reshape(-1, 1), truth.reshape(-1, 1))[0])


def evaluate_metrics(
    predictions: Predictions,
    *,
    thresholds: Thresholds | None = None,
    eleven_points: bool = False,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """All metrics of a run with percentile bootstrap intervals over its test rows.

    The intervals cover the draw of the test rows, not that of the training rows or the seed.

    Parameters
    ----------
    predictions
        Of one run.
    thresholds
        Chosen on other rows than these; for multi-label predictions.
    eleven_points
        Whether to add the mean of the 11-point average precisions.
    n_boot
        Number of resamples; 0 leaves the intervals NaN.
    seed
        Of the resamples.
    level
        Coverage of the intervals.

    Returns
    -------
    metrics
        Columns metric, value, low, high, n (test rows).  Single-label: top1, top5 (with more
        than five classes), mean_per_class, macro_f1.  Multi-label: mAP, mAP_11 (if asked for),
        micro_mAP, macro_f1 and micro_f1 at a probability of 0.5, and with `thresholds`
        macro_f1_tuned (one per class) and micro_f1_tuned (the common one).  Macro means leave out
        classes without rows; a resample leaves out those that it does not draw.

    Raises
    ------
    InvalidInputError
        If there are no test rows, a score is not finite or a class code not in [0, c).

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)
    >>> run = Predictions(np.array(["a", "b", "c"]), ("cat", "dog"), np.array([0, 1, 1]), scores,
    ...                   np.array([True, True]))
    >>> evaluate_metrics(run, n_boot=0)[["metric", "value"]].round(3)
               metric  value
    0            top1  0.667
    1  mean_per_class  0.750
    2        macro_f1  0.667
    """
    check_predictions(predictions)
    if predictions.multilabel:
        names = tuple(name for name in _MULTI_LABEL if name != "mAP_11" or eleven_points)
        names += ("macro_f1_tuned", "micro_f1_tuned") if thresholds is not None else ()
        statistic = multi_label(predictions, names, thresholds=thresholds)
    else:
        names, statistic = single_label(predictions)
    values, samples = bootstrap(statistic, len(predictions), n_boot=n_boot, seed=seed)
    low, high = percentile(samples, level=level)
    return pd.DataFrame(
        {"metric": names, "value": values, "low": low, "high": high, "n": len(predictions)}
    )


def metric_with_error(
    predictions: Predictions, metric: str, *, n_boot: int = 0, seed: int = 0
) -> tuple[float, float]:
    """One metric and its standard error over the rows.

    Parameters
    ----------
    predictions
        Of rows that are not reported.
    metric
        A name in `evaluate_metrics`.
    n_boot, seed
        Resamples for the standard error; 0 leaves it NaN, but for top1, a share, whose error
        √(p (1 - p) / n) needs none.

    Raises
    ------
    InvalidInputError
        If there is no such metric for these predictions.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.6, 0.4]], np.float32)
    >>> run = Predictions(np.array(list("abcd")), ("cat", "dog"), np.array([0, 1, 1, 0]), scores,
    ...                   np.array([True, True]))
    >>> value, error = metric_with_error(run, "top1")
    >>> print(f"{value:.2f} {error:.2f}")
    0.75 0.22
    """
    check_predictions(predictions)
    if metric == "top1" and not predictions.multilabel:
        share = float((predictions.predicted == predictions.truth).mean())
        return share, float(np.sqrt(share * (1 - share) / len(predictions)))
    known = _MULTI_LABEL
    if not predictions.multilabel:
        known, every = single_label(predictions)
    if metric not in known:
        kind = "multi" if predictions.multilabel else "single"
        raise InvalidInputError(
            f"there is no metric {metric!r} for {kind}-label targets. {did_you_mean(metric, known)}"
        )
    which = known.index(metric)
    if predictions.multilabel:
        every, which = multi_label(predictions, [metric]), 0
    values, samples = bootstrap(every, len(predictions), n_boot=n_boot, seed=seed)
    drawn = samples[which][~np.isnan(samples[which])]
    return float(values[which]), float(drawn.std(ddof=1)) if drawn.size > 1 else float("nan")


def _counts(
    predicted: NDArray[np.integer], truth: NDArray[np.integer], n_classes: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows of each class called it, rows of it, rows called it; shape (c,) each."""
    check_codes(truth, n_classes, n=len(predicted))
    check_codes(predicted, n_classes, n=len(truth))
    hits = truth[predicted == truth]
    correct, support, called = (
        np.bincount(codes, minlength=n_classes) for codes in (hits, truth, predicted)
    )
    return correct, support, called
