"""Calibration: whether probabilities are what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featstore.analysis.reliability import Binning, bins_of, check_probabilities, events
from featstore.bootstrap import Statistic, bootstrap
from featstore.intervals import percentile
from featstore.predictions import Predictions

#: Probabilities below count as this much in the logarithm, as scikit-learn has it for float32.
SMALLEST = float(np.finfo(np.float32).eps)
METRICS = ("ece", "ece_mass", "classwise_ece", "brier", "nll")


def calibration(
    predictions: Predictions,
    *,
    n_bins: int = 15,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Measure how far probabilities are from frequencies.

    With m predictions in bin b, their mean confidence :math:`p_b` and accuracy :math:`a_b`:

    .. math:: ECE = \sum_b \frac{m_b}{m} |a_b - p_b|

    Parameters
    ----------
    predictions
        Of one run.
    n_bins
        Of the calibration errors.
    n_boot, seed, level
        Percentile bootstrap over rows, in the bins of the observed confidences; 0 resamples leave
        the intervals NaN.

    Returns
    -------
    metrics
        Columns metric, value, low, high, n (rows); the metrics are

        - ece, ece_mass: expected calibration error in bins of equal width and of equal mass;
          top-label, or over all decisions of a multi-label run.
        - classwise_ece: mean over the classes of the error of each class's probability, in bins of
          equal width; without an interval.
        - brier: mean over rows of the sum over classes of (p - y)²; multi-label: mean over labels.
        - nll: mean of -log p of the true class, or of each label's decision.

        An ece that is 0 in truth is above 0 in every sample, and more so in a resample: read it
        beside that of other runs on the same rows.

    Raises
    ------
    InvalidInputError
        If scores are not probabilities, or there is no bin.

    References
    ----------
    Naeini, Cooper & Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian
    binning, AAAI.  Guo et al. (2017), On calibration of modern neural networks, ICML.  Nixon et al.
    (2019), Measuring calibration in deep learning, CVPR workshops.  Kull et al. (2019), Beyond
    temperature scaling, NeurIPS (class-wise).  Brier (1950), Verification of forecasts expressed in
    terms of probability, Monthly Weather Review 78.

    Examples
    --------
    >>> scores = np.array([[0.8, 0.2]] * 5, np.float32)
    >>> run = Predictions(np.arange(5).astype(str), ("cat", "dog"), np.array([0, 0, 0, 1, 1]),
    ...                   scores, np.array([True, True]))
    >>> calibration(run, n_boot=0)[["metric", "value"]].round(3)
              metric  value
    0            ece  0.200
    1       ece_mass  0.200
    2  classwise_ece  0.200
    3          brier  0.560
    4            nll  0.778
    """
    statistic = calibration_statistic(predictions, n_bins=n_bins)
    values, samples = bootstrap(statistic, len(predictions), n_boot=n_boot, seed=seed)
    low, high = percentile(samples, level=level)
    frame = pd.DataFrame(
        {
            "metric": ["ece", "ece_mass", "brier", "nll"],
            "value": values,
            "low": low,
            "high": high,
            "n": len(predictions),
        }
    )
    classwise = pd.DataFrame(
        [{"metric": "classwise_ece", "value": classwise_ece(predictions, n_bins=n_bins)}]
    ).assign(low=np.nan, high=np.nan, n=len(predictions))
    together = pd.concat([frame, classwise], ignore_index=True)
    return together.set_index("metric").loc[list(METRICS)].reset_index()


def calibration_statistic(predictions: Predictions, *, n_bins: int) -> Statistic:
    """Prepare ece, ece_mass, brier and nll as a function of row weights (n, b), values (4, b)."""
    confidence, true = events(predictions)
    n = len(predictions)
    rows = np.repeat(np.arange(n), len(confidence) // n)
    gaps = [
        csr_array(
            (true - confidence, (bins_of(confidence, n_bins=n_bins, binning=binning), rows)),
            shape=(n_bins, n),
        )
        for binning in _BINNINGS
    ]
    per_row = len(confidence) / n
    losses = np.stack([brier_of_rows(predictions), nll_of_rows(predictions)])

    def statistic(weights: NDArray[np.float32]) -> NDArray[np.float64]:
        total = weights.sum(axis=0, dtype=np.float64)
        errors = [np.abs(gap @ weights).sum(axis=0) / per_row for gap in gaps]
        values: NDArray[np.float64] = np.concatenate([*errors, *losses @ weights])
        values = values.reshape(len(errors) + len(losses), -1)
        values /= total
        return values

    return statistic


def classwise_ece(
    predictions: Predictions, *, n_bins: int = 15, binning: Binning = "width"
) -> float:
    """Mean over the classes of the calibration error of each class's probability.

    Kull et al. 2019, section 2; every class counts alike, whether it has rows or not.

    Examples
    --------
    >>> run = Predictions(np.array(["a"]), ("cat", "dog"), np.array([0]),
    ...                   np.array([[0.75, 0.25]], np.float32), np.array([True, True]))
    >>> classwise_ece(run)
    0.25
    """
    check_probabilities(predictions)
    n, c = predictions.scores.shape
    error = 0.0
    for code in range(c):
        p = predictions.scores[:, code].astype(np.float64)
        true = predictions.truth[:, code] if predictions.multilabel else predictions.truth == code
        bins = bins_of(p, n_bins=n_bins, binning=binning)
        error += np.abs(np.bincount(bins, weights=true - p, minlength=n_bins)).sum() / n
    return float(error / c)


def brier_of_rows(predictions: Predictions) -> NDArray[np.float64]:
    """Brier score of each row, shape (n,): summed over classes, or averaged over labels."""
    scores = predictions.scores
    squares = np.einsum("nc,nc->n", scores, scores, dtype=np.float64)
    # Σ (p - y)² = Σ p² - 2 Σ p y + Σ y
    if predictions.multilabel:
        own = np.einsum("nc,nc->n", scores, predictions.truth, dtype=np.float64)
        return np.asarray((squares - 2 * own + predictions.truth.sum(axis=1)) / scores.shape[1])
    own = np.take_along_axis(scores, predictions.truth[:, None].astype(np.intp), axis=1)[:, 0]
    return np.asarray(squares - 2 * own.astype(np.float64) + 1)


def nll_of_rows(predictions: Predictions) -> NDArray[np.float64]:
    """Negative log-likelihood of each row, shape (n,); averaged over labels, if there are many."""
    scores = predictions.scores
    if predictions.multilabel:
        of_truth = np.where(predictions.truth, scores, 1 - scores)
        logs = np.log(np.maximum(of_truth, SMALLEST))
        return np.asarray(-logs.mean(axis=1, dtype=np.float64))
    own = np.take_along_axis(scores, predictions.truth[:, None].astype(np.intp), axis=1)[:, 0]
    return np.asarray(-np.log(np.maximum(own.astype(np.float64), SMALLEST)))


_BINNINGS: tuple[Binning, ...] = ("width", "mass")
