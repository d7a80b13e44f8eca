"""How well each class is recognised, and what it is taken for."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.confusion import confusion
from featstore.intervals import wilson
from featstore.metrics import average_precision
from featstore.predictions import Predictions
from featstore.validation import check_predictions
from featstore.weighted import THRESHOLD


def per_class(predictions: Predictions, *, level: float = 0.95) -> pd.DataFrame:
    """Accuracy or average precision of every class.

    Parameters
    ----------
    predictions
        Of one run.
    level
        Coverage of the Wilson intervals.

    Returns
    -------
    classes
        One row per class, in the order of the class codes.  What is undefined is NaN, e.g. the
        accuracy of a class without test rows.

        Single-label: class, n (test rows), accuracy, low, high (Wilson), precision, recall
        (equal to accuracy), f1, most_confused_with (the class that most of its wrong rows were
        given to, None without wrong rows), seen (in training).

        Multi-label: class, n (positive test rows), prevalence (share of positive rows: the
        average precision of a random ranking), average_precision, and precision, recall, f1
        at a probability of 0.5, seen.

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
    check_predictions(predictions)
    columns: dict[str, object] = {"class": list(predictions.classes)}
    if predictions.multilabel:
        positive, chosen = predictions.truth.astype(bool), predictions.scores >= THRESHOLD
        support = positive.sum(axis=0)
        columns |= {"n": support, "prevalence": support / len(predictions)}
        columns |= {"average_precision": average_precision(predictions.scores, positive)}
        columns |= _rates((positive & chosen).sum(axis=0), support, chosen.sum(axis=0))
    else:
        truth, called = predictions.truth.astype(np.intp), predictions.predicted
        correct, support, calls = (
            np.bincount(codes, minlength=predictions.n_classes)
            for codes in (truth[truth == called], truth, called)
        )
        low, high = wilson(correct, support, level=level)
        rates = _rates(correct, support, calls)
        columns |= {"n": support, "accuracy": rates["recall"], "low": low, "high": high}
        worst = confusion(predictions).drop_duplicates("class")
        taken_for = dict(zip(worst["class"], worst["taken_for"], strict=True))
        confused = [taken_for.get(name) for name in predictions.classes]
        columns |= rates | {"most_confused_with": pd.Series(confused, dtype=object)}
    columns |= {"seen": predictions.seen}
    return pd.DataFrame(columns)


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
