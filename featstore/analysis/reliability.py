"""Reliability: how often predictions come true, by how sure they are."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.intervals import wilson
from featstore.predictions import Predictions
from featstore.validation import check_predictions

Binning = Literal["width", "mass"]


def reliability(
    predictions: Predictions,
    *,
    n_bins: int = 15,
    binning: Binning = "width",
    level: float = 0.95,
) -> pd.DataFrame:
    """Accuracy of predictions in bins of their confidence.

    Single-label: the confidence is the largest probability of a row, and the prediction its class
    (top-label).  Multi-label: every label of every row counts by itself, its probability being the
    confidence and its presence what comes true.

    Parameters
    ----------
    predictions
        Of one run.
    n_bins
        Number of bins.
    binning
        See `bins_of`.
    level
        Coverage of the Wilson intervals.

    Returns
    -------
    curve
        One row per bin with predictions, columns bin, n, confidence (mean), accuracy, low, high.

    Raises
    ------
    InvalidInputError
        If scores are not probabilities, or there is no bin.

    References
    ----------
    DeGroot & Fienberg (1983), The comparison and evaluation of forecasters, The Statistician 32.
    Wilson (1927), for the intervals.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.1, 0.9], [0.4, 0.6]], np.float32)
    >>> run = Predictions(np.array(["a", "b", "c"]), ("cat", "dog"), np.array([0, 0, 1]), scores,
    ...                   np.array([True, True]))
    >>> reliability(run, n_bins=2, binning="mass")[["n", "confidence", "accuracy"]].round(2)
       n  confidence  accuracy
    0  1         0.6       1.0
    1  2         0.9       0.5
    """
    confidence, true = events(predictions)
    bins = bins_of(confidence, n_bins=n_bins, binning=binning)
    n = np.bincount(bins, minlength=n_bins)
    filled = np.flatnonzero(n)
    n = n[filled]
    hits = np.bincount(bins, weights=true, minlength=n_bins)[filled]
    low, high = wilson(hits, n, level=level)
    return pd.DataFrame(
        {
            "bin": filled,
            "n": n,
            "confidence": np.bincount(bins, weights=confidence, minlength=n_bins)[filled] / n,
            "accuracy": hits / n,
            "low": low,
            "high": high,
        }
    )


def events(predictions: Predictions) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence of each prediction and whether it came true; shape (n,), or (n · c,).

    Raises
    ------
    InvalidInputError
        If scores are not probabilities.
    """
    check_probabilities(predictions)
    if predictions.multilabel:
        return predictions.scores.astype(np.float64).ravel(), predictions.truth.astype(bool).ravel()
    return (
        predictions.scores.max(axis=1).astype(np.float64),
        np.asarray(predictions.predicted == predictions.truth),
    )


def bins_of(confidence: NDArray[np.floating], *, n_bins: int, binning: Binning) -> NDArray[np.intp]:
    """Put confidences into bins.

    Parameters
    ----------
    confidence
        Shape (m,), in [0, 1].
    n_bins
        Number of bins, b.
    binning
        ``"width"``: bin i holds (i / b, (i + 1) / b] (Guo et al. 2017).  ``"mass"``: bins of
        equally many predictions, as far as equal confidences, which stay together, let them
        (Nixon et al. 2019).

    Returns
    -------
    bins
        Shape (m,), in [0, b).

    Raises
    ------
    InvalidInputError
        If there is no bin, or no such binning.

    Examples
    --------
    >>> confidence = np.array([0.2, 0.5, 0.9, 0.91])
    >>> bins_of(confidence, n_bins=2, binning="width").tolist()
    [0, 0, 1, 1]
    >>> bins_of(np.array([0.9, 0.9, 0.9, 0.95]), n_bins=2, binning="mass").tolist()
    [0, 0, 0, 1]
    """
    if n_bins < 1:
        raise InvalidInputError(f"at least one bin is needed, got n_bins = {n_bins}")
    if binning not in get_args(Binning):
        raise InvalidInputError(
            f"binning is one of {', '.join(get_args(Binning))}, got {binning!r}"
        )
    if binning == "width":
        # Of float32 0.3 and 10 bins, 0.3 · 10 is a little more than 3.
        places = np.ceil(np.round(np.asarray(confidence, np.float64) * n_bins, 6)).astype(np.intp)
        width: NDArray[np.intp] = np.clip(places - 1, 0, n_bins - 1)
        return width
    _, member, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    twice_middle = 2 * np.cumsum(counts) - counts - 1  # rank in the middle of equal ones
    mass: NDArray[np.intp] = (twice_middle * n_bins // (2 * len(confidence)))[member]
    return mass


def check_probabilities(predictions: Predictions) -> None:
    """Refuse scores outside of [0, 1], and rows that do not sum to 1 where one class is true."""
    check_predictions(predictions)
    scores = predictions.scores
    low, high = float(scores.min()), float(scores.max())
    if low < 0 or high > 1 + 1e-3:
        raise InvalidInputError(
            f"calibration needs probabilities; the scores lie in [{low:g}, {high:g}]"
        )
    if not predictions.multilabel:
        sums = scores.sum(axis=1, dtype=np.float64)
        worst = int(np.abs(sums - 1).argmax())
        if abs(sums[worst] - 1) > 1e-3:
            raise InvalidInputError(
                f"calibration needs probabilities; the scores of {predictions.ids[worst]} sum to "
                f"{sums[worst]:g}, not 1"
            )
