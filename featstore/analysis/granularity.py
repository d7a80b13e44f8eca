"""Accuracy at every level of a taxonomy, from species to kingdom."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.bootstrap import bootstrap
from featstore.errors import InvalidInputError
from featstore.intervals import percentile
from featstore.predictions import Predictions
from featstore.taxonomy import Taxonomy
from featstore.validation import check_predictions

Rule = Literal["argmax", "sum"]

_BLOCK_VALUES = 1 << 22


def granularity(
    predictions: Predictions,
    taxonomy: Taxonomy,
    *,
    rule: Rule = "argmax",
    of: str | None = None,
    n_boot: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Coarsen predictions and labels level by level, without training again.

    Parameters
    ----------
    predictions
        Of one single-label run.
    taxonomy
        Has every class of the run.
    rule
        ``"argmax"``: the ancestor of the predicted class (Cole et al. 2022, section 4.4);
        accuracy can only rise from a level to the next coarser one.  ``"sum"``: the ancestor
        with the largest sum of its descendants' probabilities.
    of
        Level of the taxonomy that the run's classes belong to; the finest by default.
    n_boot, seed, level
        Percentile bootstrap over test rows: resamples (0 leaves the intervals NaN), their
        seed, coverage.  The same resamples serve all levels.

    Returns
    -------
    levels
        One row per level, finest first: level, n_classes (classes of the level that occur among
        the ancestors of the run's classes), accuracy, low, high, chance (accuracy of always
        answering the most frequent class of the test rows), n (test rows).

    Raises
    ------
    InvalidInputError
        If the run is multi-label, a class is missing from the taxonomy, or the run has no test
        rows or impossible scores or labels.
    FeatureNotFoundError
        If the taxonomy has no level `of`.

    Examples
    --------
    >>> frame = pd.DataFrame({"item": ["hat", "shirt", "pants"],
    ...                       "part": ["head", "body", "body"]})
    >>> scores = np.array([[0.4, 0.3, 0.3], [0.1, 0.3, 0.6]], np.float32)
    >>> run = Predictions(np.array(["a", "b"]), ("hat", "shirt", "pants"), np.array([1, 1]),
    ...                   scores, np.array([True, True, True]))
    >>> taxonomy = Taxonomy.from_frame(frame)
    >>> print(*granularity(run, taxonomy, n_boot=0)["accuracy"])
    0.0 0.5
    >>> print(*granularity(run, taxonomy, n_boot=0, rule="sum")["accuracy"])
    0.0 1.0
    """
    check_predictions(predictions)
    if predictions.multilabel:
        raise InvalidInputError(
            "granularity needs one class per row; this run is multi-label, and its coarser "
            "labels are a target of their own"
        )
    truth, called = predictions.truth, predictions.predicted
    levels = taxonomy.levels[taxonomy.position(of) if of else 0 :]
    n_classes, chance, hits = [], [], []
    for name in levels:
        coarse, codes = taxonomy.coarsen(predictions.classes, name, of=of)
        called_here = _largest_sum(predictions.scores, codes) if rule == "sum" else codes[called]
        true_here = codes[truth]
        n_classes.append(len(coarse))
        chance.append(np.bincount(true_here).max() / len(predictions))
        hits.append(called_here == true_here)
    table = np.array(hits, np.float32)  # (levels, n)
    values, samples = bootstrap(
        lambda weights: (table @ weights) / weights.sum(axis=0, dtype=np.float64),
        len(predictions),
        n_boot=n_boot,
        seed=seed,
    )
    low, high = percentile(samples, level=level)
    return pd.DataFrame(
        {
            "level": levels,
            "n_classes": n_classes,
            "accuracy": values,
            "low": low,
            "high": high,
            "chance": chance,
            "n": len(predictions),
        }
    )


def _largest_sum(scores: NDArray[np.float32], codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Coarse code with the largest sum of scores, shape (n,); ties to the lower code."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(codes.max() + 1))
    called = np.empty(len(scores), np.intp)
    block = max(1, _BLOCK_VALUES // len(codes))
    for start in range(0, len(scores), block):
        rows = scores[start : start + block, order]
        sums = np.add.reduceat(rows, starts, axis=1, dtype=np.float64)  # (block, n_coarse)
        called[start : start + block] = sums.argmax(axis=1)
    return called
