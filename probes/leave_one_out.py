"""Leave-one-out: k and temperature chosen on the training rows, each predicted by the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.probes.row_search import Found

Vote = Callable[[NDArray[np.int64], NDArray[np.float32], int, float], NDArray[np.float64]]


def leave_one_out_scores(
    left_out: Iterable[Found],
    vote: Vote,
    labels: NDArray[np.int64] | NDArray[np.bool_],
    *,
    ks: Sequence[int],
    temperatures: Sequence[float],
) -> pd.DataFrame:
    """Score every k with every temperature, from one search.

    Parameters
    ----------
    left_out
        The training rows, block by block.
    vote
        Gives class probabilities (b, c) from neighbours, similarities, k and temperature.
    labels
        Codes (n,), or an indicator (n, c).
    ks, temperatures
        Candidates.

    Returns
    -------
    scores
        Columns ``k``, ``temperature`` and ``score``: accuracy, or for an indicator the F1 of all
        its decisions together (micro-F1), 0 where nothing is true or predicted.
    """
    cells = [(k, temperature) for k in ks for temperature in temperatures]
    good, bad = np.zeros((2, len(cells)), dtype=np.int64)
    for rows, neighbours, similarities in left_out:
        truth = labels[rows]
        for i, (k, temperature) in enumerate(cells):
            proba = vote(neighbours, similarities, k, temperature)
            predicted = proba > 0.5 if truth.ndim == 2 else proba.argmax(axis=1)
            right = predicted & truth if truth.ndim == 2 else predicted == truth
            good[i] += right.sum()
            bad[i] += (predicted != truth).sum()
    # F1 = TP / (TP + (FP + FN) / 2)
    total = good + (bad / 2 if labels.ndim == 2 else bad)
    frame = pd.DataFrame(cells, columns=["k", "temperature"])
    frame["score"] = np.divide(good, total, out=np.zeros(len(cells)), where=total > 0)
    return frame


def best_cell(scores: pd.DataFrame) -> tuple[int, float, float]:
    """k, temperature and score of the best candidate; of equal ones the smallest k, then T.

    Examples
    --------
    >>> columns = ["k", "temperature", "score"]
    >>> best_cell(pd.DataFrame([[5, 0.1, 0.9], [3, 0.2, 0.9], [1, 0.1, 0.8]], columns=columns))
    (3, 0.2, 0.9)
    """
    best = scores.sort_values(["score", "k", "temperature"], ascending=[False, True, True]).iloc[0]
    return int(best["k"]), float(best["temperature"]), float(best["score"])
