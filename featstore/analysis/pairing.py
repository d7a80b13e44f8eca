"""Pairing: two runs restricted to the test rows that both have, in one order."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

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
    check_alike(a, b)
    for name, run in (("first", a), ("second", b)):
        check_unique(run, name)
    _, rows_a, rows_b = np.intersect1d(a.ids, b.ids, assume_unique=True, return_indices=True)
    if rows_a.size == 0:
        raise InvalidInputError(
            f"the runs have no test row in common (ids like '{a.ids[0]}' and '{b.ids[0]}'); "
            "were they evaluated on the same split of the same store?"
        )
    a, b = a.take(rows_a), b.take(rows_b)
    check_labels(a.ids, a.truth, b.truth)
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
    check_alike(a, b)
    return common_rows(decided(a), decided(b))


def check_alike(a: Outcomes, b: Outcomes, *, names: tuple[str, str] = ("first", "second")) -> None:
    """Check that two runs answer the same question.

    Raises
    ------
    InvalidInputError
        If they differ in their classes, or one is multi-label and the other not.

    Examples
    --------
    >>> scores, seen = np.eye(2, dtype=np.float32), np.array([True, True])
    >>> a = Predictions(np.array(["x", "y"]), ("cat", "dog"), np.array([0, 1]), scores, seen)
    >>> check_alike(a, a)
    """
    if a.multilabel != b.multilabel:
        multi, single = names if a.multilabel else names[::-1]
        raise InvalidInputError(f"the {multi} run is multi-label and the {single} single-label")
    if a.classes != b.classes:
        raise InvalidInputError(f"the runs have different classes: {_difference(a, b, names)}")


def check_unique(run: Outcomes, name: str) -> None:
    """Check that no id repeats within a run.

    Raises
    ------
    InvalidInputError
        If one does.

    Examples
    --------
    >>> scores, seen = np.eye(2, dtype=np.float32), np.array([True, True])
    >>> check_unique(
    ...     Predictions(np.array(["x", "y"]), ("a", "b"), np.array([0, 1]), scores, seen), "first"
    ... )
    """
    if repeats := len(run) - len(np.unique(run.ids)):
        raise InvalidInputError(
            f"{repeats} ids of the {name} run repeat; rows cannot be paired by id"
        )


def check_labels(
    ids: NDArray[np.str_],
    a: NDArray[np.integer] | NDArray[np.bool_],
    b: NDArray[np.integer] | NDArray[np.bool_],
    *,
    names: tuple[str, str] | None = None,
) -> None:
    """Check that two runs have the same labels on the same rows.

    Parameters
    ----------
    ids
        Of the rows, shape (n,).
    a, b
        Labels of the rows by the two runs, shape (n,) or (n, c).
    names
        Of the runs, for the message.

    Raises
    ------
    InvalidInputError
        If a row has two labels.

    Examples
    --------
    >>> check_labels(np.array(["x"]), np.array([1]), np.array([1]))
    """
    differs = (a != b).reshape(len(ids), -1).any(axis=1)
    if differs.any():
        who = "the runs" if names is None else " and ".join(names)
        raise InvalidInputError(
            f"{who} disagree on the labels of {differs.sum()} of {len(ids)} common rows, first "
            f"'{ids[differs.argmax()]}'; runs of different targets cannot be compared"
        )


def _difference(a: Outcomes, b: Outcomes, names: tuple[str, str]) -> str:
    only_a, only_b = set(a.classes) - set(b.classes), set(b.classes) - set(a.classes)
    if not only_a and not only_b:
        return "the same names in another order"
    shown = ", ".join(f"{name!r}" for name in sorted(only_a | only_b)[:5])
    return f"{len(only_a)} only in the {names[0]}, {len(only_b)} only in the {names[1]}, {shown}"
