"""Validation of scores and labels at the edge, before they enter a metric.

A score that is not a number compares as neither larger nor smaller than any other, so a diverged
probe would get a number instead of an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.predictions import Predictions

# One byte for each of 100,000 rows x 10,000 classes would be a gigabyte.
_BLOCK_VALUES = 1 << 22


def check_codes(codes: NDArray[Any], n_classes: int, *, n: int) -> None:
    """Refuse anything but `n` >= 1 class codes in [0, n_classes)."""
    if codes.shape != (n,) or n == 0 or not np.issubdtype(codes.dtype, np.integer):
        raise InvalidInputError(
            f"class codes of shape {codes.shape} and {codes.dtype} for {n} rows: expected one "
            "integer for each of at least one row"
        )
    if codes.min() < 0 or codes.max() >= n_classes:
        raise InvalidInputError(
            f"class codes from {codes.min()} to {codes.max()} for {n_classes} classes: "
            f"they must lie in [0, {n_classes})"
        )


def check_decisions(scores: NDArray[Any], truth: NDArray[Any]) -> None:
    """Refuse anything but finite scores with one bool each."""
    if scores.shape != truth.shape or truth.dtype != bool:
        raise InvalidInputError(
            f"scores {scores.shape} and truth {truth.shape} of {truth.dtype}: multi-label truth "
            "has one bool for each score"
        )
    check_scores(scores)


def check_scores(scores: NDArray[Any]) -> None:
    """Refuse anything but finite scores of at least one row."""
    if scores.ndim != 2 or len(scores) == 0:
        raise InvalidInputError(f"scores of shape {scores.shape}: expected (n, c) with n >= 1")
    finite = np.empty(len(scores), bool)
    block = max(1, _BLOCK_VALUES // max(scores.shape[1], 1))
    for start in range(0, len(scores), block):
        finite[start : start + block] = np.isfinite(scores[start : start + block]).all(axis=1)
    broken = np.flatnonzero(~finite)
    if broken.size:
        raise InvalidInputError(
            f"{broken.size} of {len(scores)} rows hold a score that is not finite (first: row "
            f"{broken[0]}); the probe diverged or read broken features"
        )


def check_predictions(predictions: Predictions) -> None:
    """Refuse a run without rows, with scores that are not finite or with impossible labels."""
    if predictions.multilabel:
        check_decisions(predictions.scores, predictions.truth)
    else:
        check_scores(predictions.scores)
        check_codes(predictions.truth, predictions.n_classes, n=len(predictions))
