"""Which classes are taken for which."""

from __future__ import annotations

import numpy as np
import pandas as pd

from featstore.decisions import Outcomes, decided


def confusion(predictions: Outcomes) -> pd.DataFrame:
    """Every pair of classes that was confused, the most frequent first.

    A full matrix of a thousand classes is nearly empty; this is its non-empty part off the
    diagonal.

    Parameters
    ----------
    predictions
        Of a single-label run.

    Returns
    -------
    pairs
        Columns class, taken_for, n (test rows), share (of the test rows of the class).  Equal
        counts are in the order of the class codes.

    Raises
    ------
    InvalidInputError
        If the run is multi-label, has no test rows, or impossible scores or labels.

    Examples
    --------
    >>> from featstore.predictions import Predictions
    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)
    >>> run = Predictions(np.array(["a", "b", "c"]), ("cat", "dog"), np.array([0, 1, 1]), scores,
    ...                   np.array([True, True]))
    >>> confusion(run)
      class taken_for  n  share
    0   dog       cat  1    0.5
    """
    run = decided(predictions)
    called, names = run.predicted, np.array(run.classes, object)
    truth, c = run.truth.astype(np.intp), run.n_classes
    wrong = called != truth
    pairs, counts = np.unique(truth[wrong] * c + called[wrong], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    true, taken = np.divmod(pairs[order], c)
    support = np.bincount(truth, minlength=c)
    return pd.DataFrame(
        {
            "class": names[true],
            "taken_for": names[taken],
            "n": counts[order],
            "share": counts[order] / support[true],
        }
    )
