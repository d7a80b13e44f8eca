"""Folds: rows divided so that every part looks like the whole, and groups stay together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featstore.errors import InvalidInputError


def stratified_folds(
    labels: NDArray[Any], n_folds: int, *, seed: int, groups: NDArray[np.integer] | None = None
) -> NDArray[np.intp]:
    """Divide rows into folds with like shares of every class.

    Rows of one class without groups are dealt out in turn, in random order, so that a class
    differs by one row at most between folds, and folds by one row (as scikit-learn's
    StratifiedKFold).  Where rows have several labels or groups, whole groups are placed one by
    one, those with the largest shares of some class first, each where the sum of squares of the
    folds' shares grows least (as StratifiedGroupKFold and, for several labels, iterative
    stratification).

    Parameters
    ----------
    labels
        Class codes (n,), or bool (n, c).
    n_folds
        From 2 to the number of rows or groups.
    seed
        Of the random order.
    groups
        Codes (n,): rows with equal codes come into one fold.

    Returns
    -------
    folds
        Shape (n,), in [0, n_folds); no fold is empty.

    Raises
    ------
    InvalidInputError
        If there are fewer rows or groups than folds, or fewer than two folds.

    References
    ----------
    Sechidis, Tsoumakas & Vlahavas (2011), On the stratification of multi-label data, ECML PKDD.

    Examples
    --------
    >>> folds = stratified_folds(np.array([0] * 6 + [1] * 3), 3, seed=0)
    >>> np.bincount(folds[:6]).tolist(), np.bincount(folds[6:]).tolist()
    ([2, 2, 2], [1, 1, 1])
    """
    units, members = (len(labels), None) if groups is None else _codes(groups)
    if not 2 <= n_folds <= units:
        what = "rows" if groups is None else "groups"
        raise InvalidInputError(
            f"{units} {what} cannot be divided into {n_folds} folds: at least 2 folds are needed, "
            f"and at least as many {what}"
        )
    rng = np.random.default_rng(seed)
    if members is None and labels.ndim == 1:
        order = rng.permutation(len(labels))
        order = order[np.argsort(labels[order], kind="stable")]
        folds = np.empty(len(labels), np.intp)
        folds[order] = np.arange(len(labels)) % n_folds
        return folds
    placed = _place(_counts(labels, members, units), n_folds, rng)
    return placed if members is None else placed[members]


def _codes(groups: NDArray[np.integer]) -> tuple[int, NDArray[np.intp]]:
    unique, members = np.unique(groups, return_inverse=True)
    return len(unique), members


def _counts(labels: NDArray[Any], members: NDArray[np.intp] | None, units: int) -> csr_array:
    """Rows of each class in each unit, and in the last column all its rows; (u, c + 1)."""
    n = len(labels)
    if labels.ndim == 1:
        _, codes = np.unique(labels, return_inverse=True)
        table = csr_array((np.ones(n), codes, np.arange(n + 1)))
    else:
        table = csr_array(labels, dtype=np.float64)
    rows, columns = table.nonzero()
    rows, columns = np.append(rows, np.arange(n)), np.append(columns, np.full(n, table.shape[1]))
    units_of = rows if members is None else members[rows]
    shape = (units, table.shape[1] + 1)
    counts = csr_array((np.ones(len(rows)), (units_of, columns)), shape=shape)
    counts.sum_duplicates()
    return counts


def _place(counts: csr_array, n_folds: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Fold of each unit, shape (u,)."""
    n_units = counts.shape[0]
    weights = 1 / np.maximum(counts.sum(axis=0), 1)
    sizes = counts.power(2) @ weights**2
    order = rng.permutation(n_units)
    order = order[np.argsort(-sizes[order], kind="stable")]
    held = np.zeros((n_folds, counts.shape[1]))
    folds = np.empty(n_units, np.intp)
    for unit in order:
        entries = slice(counts.indptr[unit], counts.indptr[unit + 1])
        columns, values = counts.indices[entries], counts.data[entries]
        # (h + v)² - h² = 2 h v + v², and v² is the same for every fold; an empty fold costs 0.
        growth = held[:, columns] @ (values * weights[columns] ** 2)
        folds[unit] = fold = growth.argmin()
        held[fold, columns] += values
    return folds
