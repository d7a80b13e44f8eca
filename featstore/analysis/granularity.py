"""Accuracy at every level of a taxonomy, from species to kingdom."""

from __future__ import annotations

import pandas as pd

from featstore.analysis.level_hits import Rule, level_hits
from featstore.bootstrap import bootstrap_sums
from featstore.decisions import Outcomes
from featstore.intervals import percentile
from featstore.taxonomy import Taxonomy


def granularity(
    predictions: Outcomes,
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
        Of one single-label run; ``"argmax"`` needs no scores, see `featstore.decisions`.
    taxonomy
        Has every class of the run.  A class with several ancestors at a level belongs to all of
        them; see `featstore.analysis.level_hits.level_hits`.
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
        answering the class of the level that most test rows belong to), n (test rows).

    Raises
    ------
    InvalidInputError
        If the run is multi-label, a class is missing from the taxonomy, or the run has no test
        rows or impossible scores or labels.
    FeatureNotFoundError
        If the taxonomy has no level `of`.

    Examples
    --------
    >>> import numpy as np
    >>> from featstore.predictions import Predictions
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
    found = level_hits(predictions, taxonomy, rule=rule, of=of)
    values, samples = bootstrap_sums(found.hits, n_boot=n_boot, seed=seed)
    low, high = percentile(samples / len(predictions), level=level)
    return pd.DataFrame(
        {
            "level": found.levels,
            "n_classes": found.n_classes,
            "accuracy": values / len(predictions),
            "low": low,
            "high": high,
            "chance": found.chance,
            "n": len(predictions),
        }
    )
