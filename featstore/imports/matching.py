"""Matching: which row of a file belongs to which sample, by id."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Matching:
    """Rows of a file in the order of the samples.

    Attributes
    ----------
    rows
        Row of the file for each sample, shape (n_samples,); -1 for a sample that it lacks.
    unmatched
        Rows of the file whose id no sample has.
    """

    rows: NDArray[np.intp]
    unmatched: NDArray[np.intp]

    @property
    def missing(self) -> NDArray[np.intp]:
        """Samples that the file lacks."""
        return np.flatnonzero(self.rows < 0)


def match(ids: NDArray[np.str_], wanted: NDArray[np.str_]) -> Matching:
    """Find samples in a file.

    Parameters
    ----------
    ids
        Of the file's rows; of equal ones the first counts.
    wanted
        Of the samples, unique.

    Examples
    --------
    >>> found = match(np.array(["b", "x", "a"]), np.array(["a", "b", "c"]))
    >>> found.rows.tolist(), found.unmatched.tolist(), found.missing.tolist()
    ([2, 0, -1], [1], [2])
    """
    row: dict[str, int] = {}
    for i, name in enumerate(ids.tolist()):
        row.setdefault(name, i)
    names = wanted.tolist()
    known = set(names)
    return Matching(
        np.asarray([row.get(name, -1) for name in names], np.intp),
        np.asarray([i for i, name in enumerate(ids.tolist()) if name not in known], np.intp),
    )


def repeats(ids: NDArray[np.str_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows whose id an earlier row has, and those earlier rows, both shape (m,).

    Examples
    --------
    >>> later, first = repeats(np.array(["a", "b", "a", "a"]))
    >>> later.tolist(), first.tolist()
    ([2, 3], [0, 0])
    """
    row: dict[str, int] = {}
    pairs = [
        (i, first) for i, name in enumerate(ids.tolist()) if (first := row.setdefault(name, i)) != i
    ]
    later, firsts = np.asarray(pairs, np.intp).reshape(-1, 2).T
    return later, firsts


def common_root(ids: NDArray[np.str_], wanted: NDArray[np.str_]) -> str | None:
    """Folder without which the first id would be one of `wanted`; None if there is none.

    Examples
    --------
    >>> common_root(np.array(["/data/birds/a/1.jpg"]), np.array(["a/1.jpg"]))
    '/data/birds'
    """
    if not len(ids):
        return None
    known, name = set(wanted.tolist()), str(ids[0])
    cuts = (i for i, letter in enumerate(name) if letter == "/")
    return next((name[:i] for i in cuts if name[i + 1 :] in known), None)


def examples(names: list[str]) -> str:
    """Up to three names, for messages.

    Examples
    --------
    >>> examples(["a", "b", "c", "d"])
    "e.g. 'a', 'b', 'c'"
    """
    return f"e.g. {', '.join(map(repr, names[:3]))}"
