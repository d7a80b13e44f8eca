"""Coarsening: the predictions of a run at one coarser level, as if they were a run of their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featstore.analysis.level_hits import Rule
from featstore.decisions import decided
from featstore.predictions import Predictions
from featstore.taxonomy import Taxonomy


def coarsen(
    predictions: Predictions,
    taxonomy: Taxonomy,
    level: str,
    *,
    rule: Rule = "argmax",
    of: str | None = None,
) -> Predictions:
    """Coarsen predictions and labels to one level; every other analysis takes the result.

    Parameters
    ----------
    predictions
        Of one single-label run.
    taxonomy
        Has every class of the run, each with one ancestor at `level`.
    level
        The coarse level.
    rule
        ``"argmax"``: the score of the predicted class's ancestor is 1, all others are 0.
        ``"sum"``: scores are the sums of the descendants' probabilities.
    of
        Level that the run's classes belong to; the finest by default.

    Returns
    -------
    coarse
        With the same rows; a class is seen if one of its descendants is.

    Raises
    ------
    InvalidInputError
        If a class has several ancestors at `level` (see `Taxonomy.primary`), or as
        `featstore.analysis.granularity.granularity`.
    FeatureNotFoundError
        If the taxonomy has no such level.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"item": ["hat", "shirt", "pants"],
    ...                       "part": ["head", "body", "body"]})
    >>> run = Predictions(np.array(["a"]), ("hat", "shirt", "pants"), np.array([2]),
    ...                   np.array([[0.5, 0.25, 0.25]], np.float32), np.ones(3, bool))
    >>> coarse = coarsen(run, Taxonomy.from_frame(frame), "part", rule="sum")
    >>> print(coarse.classes, coarse.truth, coarse.scores)
    ('head', 'body') [1] [[0.5 0.5]]
    """
    run = decided(predictions)
    names, codes = taxonomy.coarsen(predictions.classes, level, of=of)
    if rule == "sum":
        scores = _sums(predictions.scores, codes, len(names))
    else:
        scores = np.zeros((len(predictions), len(names)), np.float32)
        scores[np.arange(len(predictions)), codes[run.predicted]] = 1
    seen = np.zeros(len(names), bool)
    seen[codes[predictions.seen]] = True
    return Predictions(
        ids=predictions.ids,
        classes=names,
        truth=codes[predictions.truth],
        scores=scores,
        seen=seen,
    )


def _sums(scores: NDArray[np.float32], codes: NDArray[np.intp], m: int) -> NDArray[np.float32]:
    """Add up the scores of the classes with each code, in float64; shape (n, m)."""
    belongs = csr_array(
        (np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(m, len(codes))
    )
    return np.asarray((belongs @ scores.T).T, np.float32, order="C")
