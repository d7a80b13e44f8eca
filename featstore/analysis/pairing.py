"""Pairing: two runs restricted to the test rows that both have, in one order."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.predictions import Predictions


def common_rows(a: Predictions, b: Predictions) -> tuple[Predictions, Predictions]:
    """Restrict two runs to their common ids, sorted.

    Parameters
    ----------
    a, b
        Runs of one target.

    Returns
    -------
    a, b
        With equal ids and truth.

    Raises
    ------
    InvalidInputError
        If the runs differ in their classes or in the labels of a common row, one is multi-label
        and the other not, an id repeats within a run, or no row is common.

    Examples
    --------
    >>> scores, seen = np.eye(2, dtype=np.float32), np.array([True, True])
    >>> a = Predictions(np.array(["x", "y"]), ("cat", "dog"), np.array([0, 1]), scores, seen)
    >>> b = Predictions(np.array(["y", "z"]), ("cat", "dog"), np.array([1, 1]), scores, seen)
    >>> [run.ids.tolist() for run in common_rows(a, b)]
    [['y'], ['y']]
    """
    if a.multilabel != b.multilabel:
        raise InvalidInputError("one run is multi-label and the other single-label")
    if a.classes != b.classes:
        raise InvalidInputError(f"the runs have different classes: {_difference(a, b)}")
    for name, ids in (("first", a.ids), ("second", b.ids)):
        if repeats := len(ids) - len(np.unique(ids)):
            raise InvalidInputError(
                f"{repeats} ids of the {name} run repeat; rows cannot be paired by id"
            )
    _, rows_a, rows_b = np.intersect1d(a.ids, b.ids, assume_unique=True, return_indices=True)
    if rows_a.size == 0:
        raise InvalidInputError(
            f"the runs have no test row in common (ids like '{a.ids[0]}' and '{b.ids[0]}'); "
            "were they evaluated on the same split of the same store?"
        )
    a, b = _take(a, rows_a), _take(b, rows_b)
    differs = (a.truth != b.truth).reshape(len(a), -1).any(axis=1)
    if differs.any():
        raise InvalidInputError(
            f"the runs disagree on the labels of {differs.sum()} of {len(a)} common rows, first "
            f"'{a.ids[differs.argmax()]}'; runs of different targets cannot be compared"
        )
    return a, b


def _take(run: Predictions, rows: NDArray[np.intp]) -> Predictions:
    return dataclasses.replace(
        run, ids=run.ids[rows], truth=run.truth[rows], scores=run.scores[rows]
    )


def _difference(a: Predictions, b: Predictions) -> str:
    only_a, only_b = set(a.classes) - set(b.classes), set(b.classes) - set(a.classes)
    if not only_a and not only_b:
        return "the same names in another order"
    shown = [f"{name!r}" for name in sorted(only_a | only_b)[:5]]
    return f"{len(only_a)} only in the first, {len(only_b)} only in the second, {', '.join(shown)}"
