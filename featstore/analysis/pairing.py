"""Pairing: two runs restricted to the test rows that both have, in one order."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from featstore.decisions import Decisions, Outcomes, decided
from featstore.errors import InvalidInputError
from featstore.predictions import Predictions
from featstore.validation import check_predictions

Run = TypeVar("Run", Predictions, Decisions)


def common_rows(a: Run, b: Run) -> tuple[Run, Run]:
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
        If the runs differ in their classes or in the labels of a common row, an id repeats within
        a run, or no row is common.

    Examples
    --------
    >>> scores, seen = np.eye(2, dtype=np.float32), np.array([True, True])
    >>> a = Predictions(np.array(["x", "y"]), ("cat", "dog"), np.array([0, 1]), scores, seen)
    >>> b = Predictions(np.array(["y", "z"]), ("cat", "dog"), np.array([1, 1]), scores, seen)
    >>> [run.ids.tolist() for run in common_rows(a, b)]
    [['y'], ['y']]
    """
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
    a, b = a.take(rows_a), b.take(rows_b)
    differs = (a.truth != b.truth).reshape(len(a), -1).any(axis=1)
    if differs.any():
        raise InvalidInputError(
            f"the runs disagree on the labels of {differs.sum()} of {len(a)} common rows, first "
            f"'{a.ids[differs.argmax()]}'; runs of different targets cannot be compared"
        )
    return a, b


def paired(a: Outcomes, b: Outcomes) -> tuple[Outcomes, Outcomes]:
    """Restrict two runs to their common ids, without the scores of single-label ones.

    Raises
    ------
    InvalidInputError
        As `common_rows`, and if a run has no test rows, or impossible scores or labels.
    """
    if isinstance(a, Predictions) and isinstance(b, Predictions) and a.multilabel and b.multilabel:
        check_predictions(a)
        check_predictions(b)
        return common_rows(a, b)
    if a.multilabel != b.multilabel:
        raise InvalidInputError("one run is multi-label and the other single-label")
    return common_rows(decided(a), decided(b))


def _difference(a: Outcomes, b: Outcomes) -> str:
    only_a, only_b = set(a.classes) - set(b.classes), set(b.classes) - set(a.classes)
    if not only_a and not only_b:
        return "the same names in another order"
    shown = [f"{name!r}" for name in sorted(only_a | only_b)[:5]]
    return f"{len(only_a)} only in the first, {len(only_b)} only in the second, {', '.join(shown)}"
