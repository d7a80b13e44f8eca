"""How well each class is recognised, and what it is taken for."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.confusion import confusion
from featstore.bootstrap import bootstrap
from featstore.decisions import Outcomes, decided
from featstore.intervals import percentile, wilson
from featstore.predictions import Predictions
from featstore.ranking import Interpolation
from featstore.thresholds import HALF, Thresholds
from featstore.validation import check_predictions
from featstore.weighted import class_average_precision


def per_class(
    predictions: Outcomes,
    *,
    thresholds: Thresholds | None = None,
    interpolation: Interpolation = "all-points",
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Accuracy or average precision of every class.

    Parameters
    ----------
    predictions
        Of one run.
    thresholds
        Chosen on other rows; for a multi-label run.
    interpolation
        Of the average precision, see `featstore.metrics.average_precision`.
    n_boot, seed
        Resamples of the test rows for the intervals of the average precision (0 leaves them NaN),
        and their seed.
    level
        Coverage of the intervals.

    Returns
    -------
    classes
        One row per class, in the order of the class codes.  What is undefined is NaN, e.g. the
        accuracy of a class without test rows.

        Single-label: class, n (test rows), accuracy, low, high (Wilson), precision, recall
        (equal to accuracy), f1, most_confused_with (the class that most of its wrong rows were
        given to, None without wrong rows), seen (in training).

        Multi-label: class, n (positive test rows), prevalence (share of positive rows: the
        average precision of a random ranking), average_precision, low, high (percentile
        bootstrap), and precision, recall, f1 at a probability of 0.5, seen; with `thresholds`
        also threshold and precision_tuned, recall_tuned, f1_tuned at it, where a fold of a nested
        run has its own and threshold is their mean.

    Raises
    ------
    InvalidInputError
        If there are no test rows, or the scores or labels are impossible.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)
    >>> run = Predictions(np.array(["a", "b", "c"]), ("cat", "dog"), np.array([0, 1, 1]), scores,
    ...                   np.array([True, True]))
    >>> per_class(run)[["class", "n", "accuracy", "precision", "most_confused_with"]]
      class  n  accuracy  precision most_confused_with
    0   cat  1       1.0        0.5               None
    1   dog  2       0.5        1.0                cat
    """
    columns: dict[str, object] = {"class": list(predictions.classes)}
    if isinstance(predictions, Predictions) and predictions.multilabel:
        check_predictions(predictions)
        positive = predictions.truth.astype(bool)
        support = positive.sum(axis=0)
        statistic = class_average_precision(predictions, interpolation=interpolation)
        precision, samples = bootstrap(statistic, len(predictions), n_boot=n_boot, seed=seed)
        low, high = percentile(samples, level=level)
        columns |= {"n": support, "prevalence": support / len(predictions)}
        columns |= {"average_precision": precision, "low": low, "high": high}
        columns |= _call_rates(positive, predictions.scores >= HALF)
        if thresholds is not None:
            tuned = _call_rates(positive, thresholds.called(predictions.scores))
            columns |= {"threshold": thresholds.per_class.mean(axis=0)}
            columns |= {f"{name}_tuned": values for name, values in tuned.items()}
    else:
        run = decided(predictions)
        truth, called = run.truth, run.predicted
        correct, support, calls = (
            np.bincount(codes, minlength=run.n_classes)
            for codes in (truth[truth == called], truth, called)
        )
        low, high = wilson(correct, support, level=level)
        rates = _rates(correct, support, calls)
        columns |= {"n": support, "accuracy": rates["recall"], "low": low, "high": high}
        worst = confusion(run).drop_duplicates("class")
        taken_for = dict(zip(worst["class"], worst["taken_for"], strict=True))
        confused = [taken_for.get(name) for name in predictions.classes]
        columns |= rates | {"most_confused_with": pd.Series(confused, dtype=object)}
    columns |= {"seen": predictions.seen}
    return pd.DataFrame(columns)


def _call_rates(
    positive: NDArray[np.bool_], called: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """Precision, recall and F1 of calls (n, c)."""
    return _rates((positive & called).sum(axis=0), positive.sum(axis=0), called.sum(axis=0))


def _rates(
    correct: NDArray[np.intp], support: NDArray[np.intp], called: NDArray[np.intp]
) -> dict[str, NDArray[np.float64]]:
    """Precision, recall and F1 of each class; NaN for 0 / 0."""
    parts = {
        "precision": (correct, called),
        "recall": (correct, support),
        "f1": (2 * correct, support + called),
    }
    return {
        name: part / np.where(whole > 0, whole, np.nan) for name, (part, whole) in parts.items()
    }
