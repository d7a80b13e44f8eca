"""Columns: what other tools write beside features, as ids, splits and targets of samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.samples import UNLABELLED, Target
from featstore.splits import canonical_split


def as_ids(column: Any, where: str) -> NDArray[np.str_]:
    """Return ids as text; whole numbers are written out.

    Raises
    ------
    InvalidInputError
        If an entry is missing, empty, or neither text (bytes: UTF-8) nor a whole number.
    """
    entries = [_text(entry) for entry in _entries(column)]
    bad = [row for row, entry in enumerate(entries) if not entry]
    if bad:
        raise InvalidInputError(
            f"{where}: {len(bad)} of {len(entries)} ids are missing, or neither text in UTF-8 nor "
            f"a whole number (the first in row {bad[0]})"
        )
    return np.asarray(entries, str)


def as_splits(column: Any) -> NDArray[np.str_]:
    """Return names of splits; "" where a row has none."""
    return np.asarray([canonical_split(_text(entry) or "") for entry in _entries(column)], str)


def as_target(column: Any, where: str) -> Target:
    """Return labels as a target.

    Parameters
    ----------
    column
        One label per row (text, or class numbers with negative ones for "unlabelled"), a list of
        labels per row, a 0/1 matrix (n, c), or a finished `Target`.
    where
        The column, for messages.

    Raises
    ------
    InvalidInputError
        If the column holds something else.
    """
    if isinstance(column, Target):
        return column
    array = _flat(column) if isinstance(column, np.ndarray) else None
    if array is not None and array.ndim == 2:
        return _indicator(array, where)
    if array is not None and array.ndim != 1:
        raise InvalidInputError(f"{where}: labels of shape {array.shape} are of no known kind")
    entries = _entries(column if array is None else array)
    if any(isinstance(entry, list | tuple | np.ndarray) for entry in entries):
        sets = [[] if entry is None else [_label(one, where) for one in entry] for entry in entries]
        return Target.from_label_sets([[one for one in names if one] for names in sets])
    return _single([_label(entry, where) for entry in entries])


def joined_targets(parts: Sequence[Target]) -> Target:
    """Put the same target of several files below each other; the classes are those of all.

    Raises
    ------
    InvalidInputError
        If some parts have one label per row and others several.

    Examples
    --------
    >>> train, test = Target.from_labels(["ant", "cat"]), Target.from_labels(["bee"])
    >>> joined_targets([train, test]).classes
    ('ant', 'bee', 'cat')
    """
    kinds = {part.kind for part in parts}
    if len(kinds) > 1:
        raise InvalidInputError("labels have one class per row in one file and several in another")
    orders = {part.classes for part in parts}
    classes = orders.pop() if len(orders) == 1 else _sorted({c for p in parts for c in p.classes})
    code = {name: i for i, name in enumerate(classes)}
    blocks: list[NDArray[Any]] = []
    for part in parts:
        new = np.asarray([code[name] for name in part.classes], np.int32)
        if part.kind == "multi":
            block = np.zeros((len(part.codes), len(classes)), bool)
            block[:, new] = part.codes
            blocks.append(block)
        else:
            blocks.append(np.append(new, np.int32(UNLABELLED))[part.codes])
    return Target(parts[0].kind, classes, np.concatenate(blocks))


def _entries(column: Any) -> list[Any]:
    if isinstance(column, np.ndarray):
        return list(_flat(column).tolist())
    return list(column)


def _flat(column: NDArray[Any]) -> NDArray[Any]:
    """Return a matrix of one column, as some tools write a list, without its second axis."""
    return column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column


def _text(entry: object) -> str | None:
    if isinstance(entry, bytes):
        try:
            return entry.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(entry, str):
        return entry
    if isinstance(entry, bool) or not isinstance(entry, int | np.integer):
        return None
    return str(int(entry))


def _label(entry: object, where: str) -> str | None:
    """One label as text; None for a missing one, which tools write as None, NaN, "" or -1."""
    if entry is None or entry == "" or (isinstance(entry, float) and math.isnan(entry)):
        return None
    if isinstance(entry, bool | np.bool_):
        return str(int(entry))
    if isinstance(entry, float) and entry.is_integer():
        # A column of class numbers with gaps is one of floats in pandas.
        entry = int(entry)
    text = _text(entry)
    if text is None:
        raise InvalidInputError(
            f"{where}: {entry!r} is no label; labels are text, class numbers, or lists of these"
        )
    return None if isinstance(entry, int | np.integer) and entry < 0 else text


def _single(labels: Sequence[str | None]) -> Target:
    classes = _sorted({label for label in labels if label is not None})
    code: dict[str | None, int] = {name: i for i, name in enumerate(classes)}
    code[None] = UNLABELLED
    return Target("single", classes, np.asarray([code[label] for label in labels], np.int32))


def _indicator(matrix: NDArray[Any], where: str) -> Target:
    if not np.isin(matrix, (0, 1)).all():
        raise InvalidInputError(
            f"{where}: a matrix of labels, here of shape {matrix.shape}, holds 0 and 1 only"
        )
    classes = tuple(str(i) for i in range(matrix.shape[1]))
    return Target("multi", classes, matrix.astype(bool))


def _sorted(names: set[str]) -> tuple[str, ...]:
    """Class numbers in the order of numbers, names in that of names."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names))
