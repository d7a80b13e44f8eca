"""Temperature: one number that makes probabilities less, or more, sure of themselves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, softmax

from featstore.analysis.reliability import check_probabilities
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions

#: Temperatures looked at: a likelihood that still grows at one of them ends there.
RANGE = (0.01, 100.0)
_BLOCK_VALUES = 1 << 22


def fit_temperature(predictions: Predictions) -> float:
    r"""Temperature that maximises the likelihood of held-out rows.

    Logits divided by T are probabilities to the power 1 / T, rescaled to sum to 1; so the stored
    probabilities are enough.  In 1 / T the negative log-likelihood is convex, and its minimum is
    the root of

    .. math:: \sum_i \Big(\sum_k p_{ik}(T) \log p_{ik} - \log p_{i y_i}\Big)

    Multi-label: the same for the logit of each label.

    Parameters
    ----------
    predictions
        Of rows that neither trained the probe nor are reported.  Rows whose true class has
        probability 0, which no temperature changes, are left out.

    Returns
    -------
    temperature
        Above 1 where the probe was too sure; within `RANGE`, and at its ends where every row is
        right or the scores are no better than chance.

    Raises
    ------
    InvalidInputError
        If scores are not probabilities, or no row is left.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks, ICML, section 4.

    Examples
    --------
    >>> scores = np.array([[0.99, 0.01]] * 10, np.float32)
    >>> run = Predictions(np.arange(10).astype(str), ("cat", "dog"), np.array([0] * 8 + [1] * 2),
    ...                   scores, np.array([True, True]))
    >>> T = fit_temperature(run)
    >>> print(round(T, 2), with_temperature(run, T).scores[0].round(2))
    3.31 [0.8 0.2]
    """
    check_probabilities(predictions)
    slope = _decision_slope(predictions) if predictions.multilabel else _class_slope(predictions)
    cold, hot = (1 / T for T in RANGE)
    # The slope in the sharpness 1 / T grows: from below 0 to above, where there is a minimum.
    if slope(hot) >= 0:
        return RANGE[1]
    if slope(cold) <= 0:
        return RANGE[0]
    sharpness = brentq(lambda x: slope(math.exp(x)), math.log(hot), math.log(cold), xtol=1e-10)
    return math.exp(-sharpness)


def with_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """Probabilities at another temperature; what is predicted stays.

    Parameters
    ----------
    predictions
        Of one run.
    temperature
        Above 0; 1 changes nothing.

    Raises
    ------
    InvalidInputError
        If scores are not probabilities, or the temperature is not positive and finite.

    Examples
    --------
    >>> run = Predictions(np.array(["a"]), ("cat", "dog"), np.array([0]),
    ...                   np.array([[0.9, 0.1]], np.float32), np.array([True, True]))
    >>> with_temperature(run, 2.0).scores.round(2)
    array([[0.75, 0.25]], dtype=float32)
    """
    check_probabilities(predictions)
    scores = scores_at(predictions.scores, temperature, multilabel=predictions.multilabel)
    return dataclasses.replace(predictions, scores=scores)


def scores_at(
    scores: NDArray[np.float32], temperature: float, *, multilabel: bool
) -> NDArray[np.float32]:
    """Probabilities (n, c) at another temperature, without a truth beside them.

    Parameters
    ----------
    scores
        Probabilities, shape (n, c).
    temperature
        Above 0; 1 changes nothing.
    multilabel
        Whether each class is a decision of its own.

    Raises
    ------
    InvalidInputError
        If the temperature is not positive and finite.

    Examples
    --------
    >>> scores_at(np.array([[0.9, 0.1]], np.float32), 2.0, multilabel=False).round(2)
    array([[0.75, 0.25]], dtype=float32)
    """
    if not 0 < temperature < math.inf:
        raise InvalidInputError(f"a temperature is positive and finite, got {temperature:g}")
    changed = np.empty_like(scores)
    for rows in _blocks(scores):
        if multilabel:
            changed[rows] = expit(_logits(scores[rows]) / temperature)
        else:
            changed[rows] = softmax(_logs(scores[rows]) / temperature, axis=1)
    return changed


def _class_slope(predictions: Predictions) -> Callable[[float], float]:
    """Return the derivative of the summed loss by the sharpness, for one class per row."""
    scores, truth = predictions.scores, predictions.truth[:, None].astype(np.intp)
    kept = np.take_along_axis(scores, truth, axis=1)[:, 0] > 0
    _check_left(kept)

    def slope(sharpness: float) -> float:
        total = 0.0
        for rows in _blocks(scores):
            logs = _logs(scores[rows][kept[rows]])
            own = np.take_along_axis(logs, truth[rows][kept[rows]], axis=1)
            p = softmax(sharpness * logs, axis=1)
            logs[p == 0] = 0  # 0 · log 0 = 0
            total += float((p * logs).sum() - own.sum())
        return total

    return slope


def _decision_slope(predictions: Predictions) -> Callable[[float], float]:
    """Return the same where each label is a decision of its own."""
    scores, truth = predictions.scores, predictions.truth
    _check_left((scores > 0) & (scores < 1))

    def slope(sharpness: float) -> float:
        total = 0.0
        for rows in _blocks(scores):
            logits = _logits(scores[rows])
            kept = np.isfinite(logits)
            some = logits[kept]
            total += float(((expit(sharpness * some) - truth[rows][kept]) * some).sum())
        return total

    return slope


def _check_left(kept: NDArray[np.bool_]) -> None:
    if not kept.any():
        raise InvalidInputError(
            "no row has a true class with a probability that a temperature could change"
        )


def _blocks(scores: NDArray[np.floating]) -> Iterator[slice]:
    """Rows whose scores, in float64, are held at a time."""
    size = max(1, _BLOCK_VALUES // max(scores.shape[1], 1))
    for start in range(0, len(scores), size):
        yield slice(start, start + size)


def _logs(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-probabilities; minus infinity for probability 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(scores.astype(np.float64)))


def _logits(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(logit(scores.astype(np.float64)))
